local before = bytes + report_bytes
expire()
-- Keys that Redis has dropped by itself take nothing.
if call('ZCARD', ORDER) == 0 then bytes = 0 end
if call('HLEN', REPORTS) == 0 then report_bytes = 0 end
if bytes + report_bytes == before then
  if report_bytes > bytes then
    local oldest, oldest_number
    local reports = call('HGETALL', REPORTS)
    for i = 1, #reports, 2 do
      local number = tonumber(string.match(reports[i + 1], '^%d+'))
      if not oldest_number or number < oldest_number then oldest, oldest_number = reports[i], number end
    end
    drop_report(oldest)
  else
    evict(1)
  end
end
save()
return summary()
