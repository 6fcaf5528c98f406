-- ARGV from 4: the message, the reporter, the reason, the most open reports of one person.
local id, reporter, reason, limit = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
if not is_live(id) then return {'gone', unpack(summary())} end
local others = 0
for _, field in ipairs(call('HKEYS', REASONS)) do
  local of, by = string.match(field, '^(%d+):(.*)$')
  if by == reporter and of ~= id then others = others + 1 end
end
if others >= limit then return {'many', unpack(summary())} end
local number = call('HINCRBY', META, 'reports', 1)
if call('HEXISTS', REPORTS, id) == 0 then
  local entry = call('XRANGE', STREAM, id .. '-0', id .. '-0')[1]
  local record = entry and entry[2][2] or call('HGET', KEPT, id)
  local value = number .. ' ' .. text_of(deadline_of(id)) .. ' ' .. record .. '\n' .. (call('GET', P .. 'text:' .. id) or '')
  call('HSET', REPORTS, id, value)
  report_bytes = report_bytes + #value
end
local field, value = id .. ':' .. reporter, number .. ' ' .. reason
report_bytes = report_bytes - call('HSTRLEN', REASONS, field) + #value
call('HSET', REASONS, field, value)
save()
return {'done', unpack(summary())}
