-- ARGV[4]: the lifespan in milliseconds.
local lifespan = tonumber(ARGV[4])
each_report(function(id, value, deadline)
  local posted = tonumber(string.match(value, '^%d+ %d+ p (%d+) '))
  if posted + lifespan < deadline then
    local shorter = string.gsub(value, '^(%d+) %d+', '%1 ' .. text_of(posted + lifespan))
    report_bytes = report_bytes + #shorter - #value
    call('HSET', REPORTS, id, shorter)
  end
end)
local moved = live_where(function(id) return posted_at(id) + lifespan < deadline_of(id) end)
if moved[1] then
  expire()
  for _, id in ipairs(moved) do
    call('ZADD', DEADLINES, text_of(posted_at(id) + lifespan), id)
  end
  expire()
  push('s ' .. text_of(at) .. ' ' .. ARGV[4])
end
save()
return summary()
