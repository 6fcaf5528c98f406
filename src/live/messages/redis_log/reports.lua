local open = {}
each_report(function(id, value, deadline)
  if at < deadline then open[#open + 1] = {id, value} end
end)
return {open, call('HGETALL', REASONS)}
