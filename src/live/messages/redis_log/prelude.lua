-- What all scripts of a room begin with. KEYS[1] is the prefix of the room's keys, ARGV: see below.
local P = KEYS[1]
local META, STREAM, CHANNEL = P .. 'meta', P .. 'stream', P .. 'events'
local ORDER, DEADLINES, LIVE, KEPT = P .. 'order', P .. 'deadlines', P .. 'live', P .. 'kept'
local NONCES, NONCE_ORDER = P .. 'nonces', P .. 'nonce-order'
local REPORTS, REASONS = P .. 'reports', P .. 'reasons'
-- The site's time in milliseconds, the most messages of a room, and how long an unused key stays.
local now, most, keep = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local call = redis.call

-- Lua's own way writes large numbers as 1.8e+15.
local function text_of(number) return string.format('%.0f', number) end

local read = call('HMGET', META, 'n', 'base', 'at', 'bytes', 'report_bytes', 'rev')
-- The number of the latest event, and the number through which events are no longer in the stream.
local n, base = tonumber(read[1] or nil), tonumber(read[2] or nil)
local is_new = not n
if is_new then
  -- Greater than any number that was given out before, as long as a room has less than a thousand events a millisecond.
  n = now * 1000
  base = n
end
-- Time never goes back in a room.
local at = math.max(now, tonumber(read[3] or '0'))
local bytes, report_bytes, rev = tonumber(read[4] or '0'), tonumber(read[5] or '0'), tonumber(read[6] or text_of(n))

local function save()
  rev = rev + 1
  call('HSET', META, 'n', text_of(n), 'base', text_of(base), 'at', text_of(at), 'bytes', text_of(bytes),
    'report_bytes', text_of(report_bytes), 'rev', text_of(rev))
  for _, key in ipairs({META, STREAM, ORDER, DEADLINES, LIVE, KEPT, NONCES, NONCE_ORDER, REPORTS, REASONS}) do
    call('PEXPIRE', key, keep)
  end
end

-- Moves the oldest events out of the stream. Of those, messages that still live are kept by themselves.
local function trim()
  local window = 6 * most + 64
  local over = call('XLEN', STREAM) - window
  if over < most then return end
  for _, entry in ipairs(call('XRANGE', STREAM, '-', '+', 'COUNT', over)) do
    local id = string.match(entry[1], '^%d+')
    if string.sub(entry[2][2], 1, 1) == 'p' and call('ZSCORE', ORDER, id) then
      call('HSET', KEPT, id, entry[2][2])
    end
    base = tonumber(id)
  end
  call('XTRIM', STREAM, 'MINID', text_of(base + 1) .. '-0')
end

-- Adds an event, and tells all who follow the room. The text is told, but not stored with the event.
local function push(record, text)
  n = n + 1
  call('XADD', STREAM, text_of(n) .. '-0', 'e', record)
  call('PUBLISH', CHANNEL, text_of(n) .. ' ' .. record .. (text and ('\n' .. text) or ''))
  trim()
  return text_of(n)
end

-- How many messages this script has added and taken out, and their bytes.
local tally = {added = {0, 0}, expired = {0, 0}, evicted = {0, 0}, deleted = {0, 0}}
local function count(what, size)
  local counted = tally[what]
  counted[1], counted[2] = counted[1] + 1, counted[2] + size
end

-- Takes a message out of memory.
local function drop(id, why)
  call('UNLINK', P .. 'text:' .. id)
  local live = call('HGET', LIVE, id)
  if live then
    local size = tonumber(string.match(live, '%d+$'))
    bytes = bytes - size
    count(why, size)
  end
  call('HDEL', LIVE, id)
  call('HDEL', KEPT, id)
  call('ZREM', ORDER, id)
  call('ZREM', DEADLINES, id)
end

local function drop_report(id, value)
  report_bytes = report_bytes - #value
  call('HDEL', REPORTS, id)
  for _, field in ipairs(call('HKEYS', REASONS)) do
    if string.match(field, '^%d+') == id then
      report_bytes = report_bytes - call('HSTRLEN', REASONS, field)
      call('HDEL', REASONS, field)
    end
  end
end

-- Calls `work` with the id, the value and the deadline of each report.
local function each_report(work)
  local reports = call('HGETALL', REPORTS)
  for i = 1, #reports, 2 do
    local deadline = tonumber(string.match(reports[i + 1], '^%d+ (%d+)'))
    work(reports[i], reports[i + 1], deadline)
  end
end

-- Takes what has expired out of memory.
local function expire()
  for _, id in ipairs(call('ZRANGEBYSCORE', DEADLINES, '-inf', text_of(at))) do drop(id, 'expired') end
  each_report(function(id, value, deadline)
    if deadline <= at then drop_report(id, value) end
  end)
  for _, nonce in ipairs(call('ZRANGE', NONCE_ORDER, 0, 63)) do
    local used = call('HGET', NONCES, nonce)
    if used and at < tonumber(string.match(used, '%d+$')) then break end
    call('HDEL', NONCES, nonce)
    call('ZREM', NONCE_ORDER, nonce)
  end
end

local function deadline_of(id)
  local deadline = call('ZSCORE', DEADLINES, id)
  return deadline and tonumber(deadline) or nil
end

local function is_live(id)
  local deadline = deadline_of(id)
  return deadline ~= nil and at < deadline
end

local function author_of(id)
  local live = call('HGET', LIVE, id)
  return live and string.match(live, '^%-?%d+') or nil
end

local function posted_at(id)
  local live = call('HGET', LIVE, id)
  return live and tonumber(string.match(live, ' (%d+) ')) or 0
end

-- Returns the ids of the live messages that are meant, oldest first.
local function live_where(is_meant)
  local meant = {}
  for _, id in ipairs(call('ZRANGE', ORDER, 0, -1)) do
    if is_live(id) and is_meant(id) then meant[#meant + 1] = id end
  end
  return meant
end

-- After `expire`, so that the first message is a live one. Asking each would cost a full room half a millisecond a message.
local function evict_oldest()
  local oldest = call('ZRANGE', ORDER, 0, 0)[1]
  if oldest then
    drop(oldest, 'evicted')
    push('e ' .. text_of(at) .. ' ' .. oldest)
  end
end

-- Returns what the site is told of the room: its bytes, the revision that they are of, the newest live message's time
-- and deadline, the next deadline of anything, the number of the latest event, and the number of reports. Then the
-- tally.
local function summary()
  local newest, newest_deadline, next_deadline = 0, 0, 0
  for _, id in ipairs(call('ZREVRANGE', ORDER, 0, -1)) do
    if is_live(id) then
      newest, newest_deadline = posted_at(id), deadline_of(id)
      break
    end
  end
  local first = call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')
  if first[2] then next_deadline = tonumber(first[2]) end
  each_report(function(_, _, deadline)
    if next_deadline == 0 or deadline < next_deadline then next_deadline = deadline end
  end)
  local told = {text_of(bytes + report_bytes), text_of(rev), text_of(newest), text_of(newest_deadline),
    text_of(next_deadline), text_of(n), text_of(call('HLEN', REPORTS))}
  for _, what in ipairs({'added', 'expired', 'evicted', 'deleted'}) do
    told[#told + 1] = text_of(tally[what][1])
    told[#told + 1] = text_of(tally[what][2])
  end
  return told
end
