-- Reads a room as of one event, in pieces that take about as long as an append of a few hundred messages.
--
-- ARGV from 4: the event, or 0 in the first piece, which chooses the latest; the last event and the last message of the
-- pieces before; and the most events and messages of a piece.
-- Returns the event, and whether this is the last piece; the latest event, and the number through which events are no
-- longer in the stream; the last event and the last message of the piece; what happened, but for the messages that were
-- posted; and the messages that are live now. Later events may already show in these: who reads goes on with the event,
-- if it is not the latest.
if is_new then save() end
local through, told, shown, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
if through == 0 then through, told = n, base end
local events, messages = {}, {}
local entries = call('XRANGE', STREAM, text_of(math.max(told, base) + 1), text_of(through), 'COUNT', limit)
for _, entry in ipairs(entries) do
  told = tonumber(string.match(entry[1], '^%d+'))
  if string.sub(entry[2][2], 1, 1) ~= 'p' then events[#events + 1] = {text_of(told), entry[2][2]} end
end
local is_last = false
if #entries < limit then
  told = through
  local left = limit - #entries
  local ids = call('ZRANGEBYSCORE', ORDER, '(' .. shown, text_of(through), 'LIMIT', 0, left)
  is_last = #ids < left
  for _, id in ipairs(ids) do
    shown = id
    local deadline, live = deadline_of(id), call('HGET', LIVE, id)
    local record, text = record_of(id), call('GET', P .. 'text:' .. id)
    if deadline and at < deadline and live and record and text then
      messages[#messages + 1] = {id, record, text_of(deadline), string.match(live, '%d+$'), text}
    end
  end
end
-- The stream may have gone, while readers of an empty room kept the rest.
if is_last and base < through and call('EXISTS', STREAM) == 0 then base = through end
return {text_of(through), is_last and 1 or 0, text_of(n), text_of(base), text_of(told), shown, events, messages}
