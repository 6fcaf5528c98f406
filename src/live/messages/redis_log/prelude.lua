-- What all scripts of a room begin with. KEYS[1] is the prefix of the room's keys, ARGV: see below.
local P = KEYS[1]
local META, STREAM, CHANNEL = P .. 'meta', P .. 'stream', P .. 'events'
local ORDER, DEADLINES, LIVE, KEPT = P .. 'order', P .. 'deadlines', P .. 'live', P .. 'kept'
local AUTHORS, ENDS = P .. 'authors', P .. 'ends'
local NONCES, NONCE_ORDER, LIMITS = P .. 'nonces', P .. 'nonce-order', P .. 'limits'
local REPORTS, REPORTERS = P .. 'reports', P .. 'reporters'
-- No script takes out more messages, or moves more events out of the stream, than this. So none takes long.
local AT_ONCE, TRIMMED = 1000, 64
-- How many values one command is given.
local VALUES = 500
-- The site's time in milliseconds, the most messages of a room, and how long an unused key stays.
local now, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local call = redis.call

-- Lua's own way writes large numbers as 1.8e+15.
local function text_of(number) return string.format('%.0f', number) end

-- The state of messages that were posted while they could live longer stays as long as they do.
local keep = text_of(math.max(tonumber(ARGV[3]), call('PTTL', META)))

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
  for _, key in ipairs({META, STREAM, ORDER, DEADLINES, LIVE, KEPT, AUTHORS, ENDS, NONCES, NONCE_ORDER, REPORTS,
    REPORTERS}) do
    call('PEXPIRE', key, keep)
  end
end

-- Moves the oldest events out of the stream. Of those, messages that still live are kept by themselves.
local function trim()
  if call('XLEN', STREAM) < 2 * most + 64 + TRIMMED then return end
  for _, entry in ipairs(call('XRANGE', STREAM, '-', '+', 'COUNT', TRIMMED)) do
    local id = string.match(entry[1], '^%d+')
    if string.sub(entry[2][2], 1, 1) == 'p' and call('ZSCORE', ORDER, id) then
      call('HSET', KEPT, id, entry[2][2])
    end
    base = tonumber(id)
  end
  call('XTRIM', STREAM, 'MINID', text_of(base + 1) .. '-0')
end

-- Adds an event, and tells all who follow the room. What is derived from a message's text is told, but not stored with
-- the event: entries of a stream stay in memory after they are deleted.
local function push(record, namesake, text)
  n = n + 1
  call('XADD', STREAM, text_of(n) .. '-0', 'e', record)
  local told = text and ('\n' .. namesake .. '\n' .. text) or ''
  call('PUBLISH', CHANNEL, text_of(n) .. ' ' .. record .. told)
  trim()
  return text_of(n)
end

-- How many messages this script has added and taken out, and their bytes.
local tally = {added = {0, 0}, expired = {0, 0}, evicted = {0, 0}, deleted = {0, 0}}
local function count(what, size)
  local counted = tally[what]
  counted[1], counted[2] = counted[1] + 1, counted[2] + size
end

-- Calls `work` with at most VALUES of a list's items at a time.
local function in_parts(list, work)
  for from = 1, #list, VALUES do work({unpack(list, from, math.min(from + VALUES - 1, #list))}) end
end

-- Forgets the nonces that led to these messages, if they end by now, or enters when they end: a message may go before.
local function release_nonces(ids)
  for _, id in ipairs(ids) do
    local nonce = call('ZRANGEBYSCORE', NONCE_ORDER, id, id)[1]
    local used = nonce and call('HGET', NONCES, nonce)
    if used then
      local until_time = string.match(used, '%d+$')
      if at < tonumber(until_time) then
        call('ZADD', ENDS, until_time, 'n' .. id)
      else
        call('HDEL', NONCES, nonce)
        call('ZREM', NONCE_ORDER, nonce)
      end
    end
  end
end

-- Takes messages out of memory.
local function drop(all, why)
  in_parts(all, function(ids)
    local texts, by_author = {}, {}
    for i, live in ipairs(call('HMGET', LIVE, unpack(ids))) do
      texts[i] = P .. 'text:' .. ids[i]
      if live then
        local key, size = string.match(live, '^(%S+) %d+ (%d+)')
        by_author[#by_author + 1] = key .. ':' .. ids[i]
        bytes = bytes - tonumber(size)
        count(why, tonumber(size))
      end
    end
    call('UNLINK', unpack(texts))
    call('HDEL', LIVE, unpack(ids))
    call('HDEL', KEPT, unpack(ids))
    call('ZREM', ORDER, unpack(ids))
    call('ZREM', DEADLINES, unpack(ids))
    if by_author[1] then call('ZREM', AUTHORS, unpack(by_author)) end
    release_nonces(ids)
  end)
end

local function reasons_of(id) return P .. 'reasons:' .. id end

local function drop_report(id)
  call('ZREM', ENDS, 'r' .. id)
  local value = call('HGET', REPORTS, id)
  if not value then return end
  report_bytes = report_bytes - #value
  call('HDEL', REPORTS, id)
  local reasons = call('HGETALL', reasons_of(id))
  call('UNLINK', reasons_of(id))
  for i = 1, #reasons, 2 do
    report_bytes = report_bytes - #reasons[i + 1]
    if call('HINCRBY', REPORTERS, reasons[i], -1) < 1 then call('HDEL', REPORTERS, reasons[i]) end
  end
end

-- Takes what has expired out of memory.
local function expire()
  local due = {'-inf', text_of(at), 'LIMIT', 0, AT_ONCE}
  drop(call('ZRANGEBYSCORE', DEADLINES, unpack(due)), 'expired')
  for _, member in ipairs(call('ZRANGEBYSCORE', ENDS, unpack(due))) do
    local id = string.sub(member, 2)
    if string.sub(member, 1, 1) == 'r' then
      drop_report(id)
    else
      call('ZREM', ENDS, member)
      release_nonces({id})
    end
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

local function has_live()
  return call('ZCOUNT', DEADLINES, '(' .. text_of(at), '+inf') > 0
end

-- Returns the room's version that the log knew when a message was posted.
local function version_of(id)
  local live = call('HGET', LIVE, id)
  return live and tonumber(string.match(live, '(%d+) %d+$')) or 0
end

local function posted_at(id)
  local live = call('HGET', LIVE, id)
  return live and tonumber(string.match(live, ' (%d+) ')) or 0
end

-- Returns the record of a live message's event.
local function record_of(id)
  local entry = call('XRANGE', STREAM, id .. '-0', id .. '-0')[1]
  return entry and entry[2][2] or call('HGET', KEPT, id)
end

-- Returns what the event of a message's removal says: its deadline, until which pages have to be told.
local function removal(id) return text_of(at) .. ' ' .. id .. ' ' .. text_of(deadline_of(id)) end

-- Evicts the oldest messages. After `expire`, so that these are live.
local function evict(many)
  if many < 1 then return end
  local oldest = call('ZRANGE', ORDER, 0, math.min(many, AT_ONCE) - 1)
  if not oldest[1] then return end
  -- Of several, when the room is given a smaller capacity, the event says only the last.
  local record = oldest[2] and text_of(at) .. ' ' .. oldest[#oldest] or removal(oldest[1])
  drop(oldest, 'evicted')
  push('e ' .. record)
end

-- Deletes the oldest messages, if there are more than one script may take out. Returns whether there are.
local function thin_out()
  if call('ZCARD', ORDER) <= AT_ONCE then return false end
  local oldest = call('ZRANGE', ORDER, 0, AT_ONCE - 1)
  drop(oldest, 'deleted')
  push('e ' .. text_of(at) .. ' ' .. oldest[#oldest])
  save()
  return true
end

-- Returns what the site is told of the room: its bytes, the revision that they are of, the newest live message's time
-- and deadline, the next deadline of anything, the number of the latest event, and the number of reports. Then the
-- tally.
local function summary()
  local newest, newest_deadline, next_deadline = 0, 0, 0
  -- Those that have expired since the last sweep are passed over.
  for place = 0, has_live() and AT_ONCE or -1 do
    local id = call('ZREVRANGE', ORDER, place, place)[1]
    if not id then break end
    if is_live(id) then
      newest, newest_deadline = posted_at(id), deadline_of(id)
      break
    end
  end
  for _, key in ipairs({DEADLINES, ENDS}) do
    local first = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or nil)
    if first and (next_deadline == 0 or first < next_deadline) then next_deadline = first end
  end
  local told = {text_of(bytes + report_bytes), text_of(rev), text_of(newest), text_of(newest_deadline),
    text_of(next_deadline), text_of(n), text_of(call('HLEN', REPORTS))}
  for _, what in ipairs({'added', 'expired', 'evicted', 'deleted'}) do
    told[#told + 1] = text_of(tally[what][1])
    told[#told + 1] = text_of(tally[what][2])
  end
  return told
end
