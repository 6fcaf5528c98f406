-- Returns the id, the value and the reasons of each open report.
local open = {}
local reports = call('HGETALL', REPORTS)
for i = 1, #reports, 2 do
  local id, value = reports[i], reports[i + 1]
  if at < tonumber(string.match(value, '^%d+ (%d+)')) then
    open[#open + 1] = {id, value, call('HGETALL', reasons_of(id))}
  end
end
return open
