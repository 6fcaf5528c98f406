each_report(drop_report)
local all = live_where(function() return true end)
if all[1] then
  expire()
  for _, id in ipairs(all) do drop(id, 'deleted') end
  push('c ' .. text_of(at))
end
save()
return summary()
