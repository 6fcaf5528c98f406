-- ARGV from 4: the lifespan in milliseconds, a version of the room, and the last message that was looked at before, or 0.
-- Returns the latter for the next part, or 0 if this was the last one. Only messages that were posted while the log knew a
-- smaller version are shortened, and each part tells readers of the deadlines that it moves: a part that is run again finds
-- none to move.
local lifespan, before = tonumber(ARGV[4]), tonumber(ARGV[5])
-- First, because a full Redis refuses no write after one that takes no memory.
call('PEXPIRE', META, keep)
local reports = call('HGETALL', REPORTS)
for i = 1, #reports, 2 do
  local id, value = reports[i], reports[i + 1]
  local deadline, version, posted = string.match(value, '^%d+ (%d+) (%d+) p (%d+) ')
  local earlier = tonumber(posted) + lifespan
  if tonumber(version) < before and earlier < tonumber(deadline) then
    local shorter = string.gsub(value, '^(%d+) %d+', '%1 ' .. text_of(earlier))
    report_bytes = report_bytes + #shorter - #value
    call('HSET', REPORTS, id, shorter)
    call('ZADD', ENDS, text_of(earlier), 'r' .. id)
  end
end
local moved, older = {}, {}
for _, id in ipairs(call('ZRANGEBYSCORE', ORDER, '(' .. ARGV[6], '+inf', 'LIMIT', 0, AT_ONCE)) do
  -- The log never forgets a version for a smaller one, so the others are newer, too.
  if version_of(id) >= before then break end
  older[#older + 1] = id
  local earlier = posted_at(id) + lifespan
  if is_live(id) and earlier < deadline_of(id) then moved[#moved + 1] = {text_of(earlier), id} end
end
if moved[1] then
  expire()
  for _, deadline in ipairs(moved) do call('ZADD', DEADLINES, unpack(deadline)) end
  expire()
  push('s ' .. text_of(at) .. ' ' .. ARGV[4] .. ' ' .. older[#older])
end
save()
return {#older < AT_ONCE and '0' or older[#older], unpack(summary())}
