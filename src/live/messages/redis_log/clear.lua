-- Returns 1 if the script must be run again.
for _, id in ipairs(call('HKEYS', REPORTS)) do drop_report(id) end
if has_live() then
  if thin_out() then return {'1', unpack(summary())} end
  expire()
  drop(call('ZRANGE', ORDER, 0, -1), 'deleted')
  push('c ' .. text_of(at))
end
save()
return {'0', unpack(summary())}
