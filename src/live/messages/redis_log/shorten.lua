-- ARGV from 4: the lifespan in milliseconds, and the last message that was looked at before, or 0. Returns the latter for
-- the next part, or 0 if this was the last one. Each part tells readers of the deadlines that it moves: a part that is run
-- again finds none to move.
local lifespan = tonumber(ARGV[4])
local reports = call('HGETALL', REPORTS)
for i = 1, #reports, 2 do
  local id, value = reports[i], reports[i + 1]
  local deadline, posted = string.match(value, '^%d+ (%d+) p (%d+) ')
  local earlier = tonumber(posted) + lifespan
  if earlier < tonumber(deadline) then
    local shorter = string.gsub(value, '^(%d+) %d+', '%1 ' .. text_of(earlier))
    report_bytes = report_bytes + #shorter - #value
    call('HSET', REPORTS, id, shorter)
    call('ZADD', ENDS, text_of(earlier), 'r' .. id)
  end
end
local moved = {}
local ids = call('ZRANGEBYSCORE', ORDER, '(' .. ARGV[5], '+inf', 'LIMIT', 0, AT_ONCE)
for _, id in ipairs(ids) do
  local earlier = posted_at(id) + lifespan
  if is_live(id) and earlier < deadline_of(id) then moved[#moved + 1] = {text_of(earlier), id} end
end
if moved[1] then
  expire()
  for _, deadline in ipairs(moved) do call('ZADD', DEADLINES, unpack(deadline)) end
  expire()
  push('s ' .. text_of(at) .. ' ' .. ARGV[4])
end
save()
return {#ids < AT_ONCE and '0' or ids[#ids], unpack(summary())}
