-- ARGV[4]: the message.
local value = call('HGET', REPORTS, ARGV[4])
if value then
  drop_report(ARGV[4], value)
  save()
end
return summary()
