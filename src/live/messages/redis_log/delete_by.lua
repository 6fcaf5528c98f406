-- ARGV[4]: the author. ARGV[5]: 1 if the author's account was deleted, and reports of and by them go, too.
-- Returns 1 if the script must be run again.
local author = ARGV[4]
local has_changed = false
if ARGV[5] == '1' then
  for _, id in ipairs(call('HKEYS', REPORTS)) do
    local own = reasons_of(id)
    local size = call('HSTRLEN', own, author)
    if call('HDEL', own, author) == 1 then
      report_bytes = report_bytes - size
      has_changed = true
    end
    local reported = string.match(call('HGET', REPORTS, id), '^%d+ %d+ %d+ p %d+ (%-?%d+) ')
    if reported == author or call('EXISTS', own) == 0 then
      drop_report(id)
      has_changed = true
    end
  end
  call('HDEL', REPORTERS, author)
end
local theirs, removals = {}, {}
local members = call('ZRANGEBYLEX', AUTHORS, '[' .. author .. ':', '(' .. author .. ';', 'LIMIT', 0, AT_ONCE)
for _, member in ipairs(members) do
  local id = string.match(member, '%d+$')
  if is_live(id) then
    theirs[#theirs + 1] = id
    removals[#removals + 1] = removal(id)
  end
end
local has_more = #members == AT_ONCE
if theirs[1] or has_more then
  expire()
  drop(theirs, 'deleted')
  has_changed = true
end
if has_more then
  for _, record in ipairs(removals) do push('d ' .. record) end
elseif theirs[1] then
  push('a ' .. text_of(at) .. ' ' .. author)
end
if has_changed then save() end
return {has_more and '1' or '0', unpack(summary())}
