-- ARGV[4]: the message.
if call('HEXISTS', REPORTS, ARGV[4]) == 1 then
  drop_report(ARGV[4])
  save()
end
return summary()
