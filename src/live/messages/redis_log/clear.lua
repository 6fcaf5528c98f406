-- Returns 1 if the script must be run again. A full Redis refuses to write, so nothing is written if nothing is there.
local reports = call('HKEYS', REPORTS)
for _, id in ipairs(reports) do drop_report(id) end
if has_live() then
  if thin_out() then return {'1', unpack(summary())} end
  expire()
  drop(call('ZRANGE', ORDER, 0, -1), 'deleted')
  push('c ' .. text_of(at))
  save()
elseif reports[1] then
  save()
end
return {'0', unpack(summary())}
