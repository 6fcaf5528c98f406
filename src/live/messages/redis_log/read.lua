-- Reads the events after one.
--
-- ARGV from 4: the event, and the most events to return.
-- Returns 1, or 0 if events after it are no longer in the stream; the number of the latest event; the number through
-- which events were read; and the events. Those whose message has gone and would have expired by now are left out.
local after, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
if is_new or after < base or after > n then return {0, text_of(n), '0', {}} end
local events, through = {}, n
local entries = call('XRANGE', STREAM, text_of(after + 1), '+', 'COUNT', limit)
if #entries == limit then through = tonumber(string.match(entries[limit][1], '^%d+')) end
for _, entry in ipairs(entries) do
  local id, record = string.match(entry[1], '^%d+'), entry[2][2]
  local posted, lifespan = string.match(record, '^p (%d+) %S+ (%d+) ')
  local live = posted and call('HGET', LIVE, id)
  if live then
    events[#events + 1] = {id, record, string.match(live, '%d+$'), call('GET', P .. 'text:' .. id) or ''}
  elseif not posted or at < posted + lifespan then
    events[#events + 1] = {id, record, '0', ''}
  end
end
return {1, text_of(n), text_of(through), events}
