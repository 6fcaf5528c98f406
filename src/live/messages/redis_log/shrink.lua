local before = bytes + report_bytes
expire()
-- Keys that Redis has dropped by itself take nothing.
if call('ZCARD', ORDER) == 0 then bytes = 0 end
if call('HLEN', REPORTS) == 0 then report_bytes = 0 end
if bytes + report_bytes == before then
  if report_bytes > bytes then
    local oldest, oldest_value, oldest_number
    each_report(function(id, value)
      local number = tonumber(string.match(value, '^%d+'))
      if not oldest_number or number < oldest_number then
        oldest, oldest_value, oldest_number = id, value, number
      end
    end)
    drop_report(oldest, oldest_value)
  else
    evict_oldest()
  end
end
save()
return summary()
