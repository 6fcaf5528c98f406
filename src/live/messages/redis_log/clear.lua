-- ARGV[4]: a version of the room. Deletes the messages that were posted while the log knew a smaller one, and the reports
-- of such messages: when this is run again, it takes nothing that was posted since.
-- Returns 1 if the script must be run again. A full Redis refuses to write, so nothing is written if nothing is there.
local before = tonumber(ARGV[4])
local has_changed = false
for _, id in ipairs(call('HKEYS', REPORTS)) do
  if tonumber(string.match(call('HGET', REPORTS, id), '^%d+ %d+ (%d+)')) < before then
    drop_report(id)
    has_changed = true
  end
end
-- The log never forgets a version for a smaller one, so these are the oldest.
local older = {}
for _, id in ipairs(has_live() and call('ZRANGE', ORDER, 0, AT_ONCE - 1) or {}) do
  if version_of(id) >= before then break end
  older[#older + 1] = id
end
if older[1] then
  expire()
  drop(older, 'deleted')
  local is_all = call('ZCARD', ORDER) == 0
  push(is_all and 'c ' .. text_of(at) or 'e ' .. text_of(at) .. ' ' .. older[#older])
  has_changed = true
end
if has_changed then save() end
return {#older == AT_ONCE and '1' or '0', unpack(summary())}
