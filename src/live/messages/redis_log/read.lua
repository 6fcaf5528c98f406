-- ARGV[4]: the number of the latest event that the process has applied, or 0.
if is_new then save() end
local after = tonumber(ARGV[4])
local is_full = after < base or after > n
local kept, entries = {}, {}
local function text(id) return call('GET', P .. 'text:' .. id) or '' end
if is_full then
  after = base
  local fields = call('HGETALL', KEPT)
  for i = 1, #fields, 2 do
    kept[#kept + 1] = {fields[i], fields[i + 1], text_of(deadline_of(fields[i]) or 0), text(fields[i])}
  end
end
for _, entry in ipairs(call('XRANGE', STREAM, text_of(after + 1), '+')) do
  local id, record = string.match(entry[1], '^%d+'), entry[2][2]
  entries[#entries + 1] = {id, record, string.sub(record, 1, 1) == 'p' and text(id) or ''}
end
-- The stream may have gone, while readers of an empty room kept the rest.
if is_full and #entries == 0 then base = n end
return {is_full and 1 or 0, text_of(n), text_of(base), kept, entries}
