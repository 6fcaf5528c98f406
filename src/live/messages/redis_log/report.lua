-- ARGV from 4: the message, the reporter, the reason, the most open reports of one person.
local id, reporter, reason, limit = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
if not is_live(id) then return {'gone', unpack(summary())} end
local reasons = reasons_of(id)
local has_reported = call('HEXISTS', reasons, reporter)
local others = tonumber(call('HGET', REPORTERS, reporter) or '0') - has_reported
if others >= limit then return {'many', unpack(summary())} end
local number = call('HINCRBY', META, 'reports', 1)
if call('HEXISTS', REPORTS, id) == 0 then
  local deadline = text_of(deadline_of(id))
  local value = table.concat({number, deadline, text_of(version_of(id)), record_of(id)}, ' ')
  value = value .. '\n' .. (call('GET', P .. 'text:' .. id) or '')
  call('HSET', REPORTS, id, value)
  call('ZADD', ENDS, deadline, 'r' .. id)
  report_bytes = report_bytes + #value
end
local value = number .. ' ' .. reason
report_bytes = report_bytes - call('HSTRLEN', reasons, reporter) + #value
call('HSET', reasons, reporter, value)
call('PEXPIRE', reasons, keep)
if has_reported == 0 then call('HINCRBY', REPORTERS, reporter, 1) end
save()
return {'done', unpack(summary())}
