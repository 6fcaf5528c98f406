-- ARGV[4]: the author. ARGV[5]: 1 if the author's account was deleted, and reports of and by them go, too.
local author = ARGV[4]
local has_changed = false
if ARGV[5] == '1' then
  each_report(function(id, value)
    local own = id .. ':' .. author
    local size = call('HSTRLEN', REASONS, own)
    if call('HDEL', REASONS, own) == 1 then
      report_bytes = report_bytes - size
      has_changed = true
    end
    local left = false
    for _, field in ipairs(call('HKEYS', REASONS)) do
      if string.match(field, '^%d+') == id then left = true end
    end
    if not left or string.match(value, '^%d+ %d+ p %d+ (%-?%d+) ') == author then
      drop_report(id, value)
      has_changed = true
    end
  end)
end
local theirs = live_where(function(id) return author_of(id) == author end)
if theirs[1] then
  expire()
  for _, id in ipairs(theirs) do drop(id, 'deleted') end
  push('a ' .. text_of(at) .. ' ' .. author)
  has_changed = true
end
if has_changed then save() end
return summary()
