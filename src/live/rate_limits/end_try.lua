-- ARGV[8]: 1 if the password was wrong. A try that was not is given back.
if ARGV[8] ~= '1' then
  local full_at = call('ZSCORE', NAMES, name)
  if full_at then call('ZADD', NAMES, text_of(tonumber(full_at) - cell), name) end
end
if known then
  pending = math.max(pending - 1, 0)
  if ARGV[8] == '1' then
    wrong[#wrong + 1] = ARGV[1]
    if #wrong > free then table.remove(wrong, 1) end
  end
  save()
end
return 0
