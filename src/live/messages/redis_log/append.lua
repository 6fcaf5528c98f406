-- ARGV from 4: version, session, nonce, digest of the text, author, lifespan, time of sending, its minute, the
-- message's lead, bytes, name, text, how long unused counters stay, and for each limit: its counter, the time that a
-- message takes of the quota, the time that a burst but one takes, and 1 for slow mode, which counts from the last message.
-- Returns `new` and what `summary` does, or why nothing was posted. A message is counted exactly if it is posted.
local version, session, nonce, digest = tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7]
local author, lifespan, size = ARGV[8], ARGV[9], tonumber(ARGV[13])
if call('EXISTS', P .. 'ended:' .. session) == 1 then return {'ended'} end
local known = call('HGET', META, 'version')
if not known or tonumber(known) > version then return {'stale'} end
local used = call('HGET', NONCES, nonce)
if used then
  local id, used_for, until_time = string.match(used, '^(%d+) (%S+) (%d+)$')
  if at < tonumber(until_time) then
    if used_for == digest then return {'repeated', id} end
    return {'reused'}
  end
end
-- When each quota is full again, in microseconds, as in count.lua.
local counters = {}
local moment = at * 1000
for i = 17, #ARGV, 4 do
  local counter, cell, burst, is_slow_mode = unpack(ARGV, i, i + 3)
  local full_at = math.max(tonumber(call('ZSCORE', LIMITS, counter) or moment), moment)
  local wait = full_at - tonumber(burst) - moment
  if wait > 0 then return {is_slow_mode == '1' and 'soon' or 'many', text_of(wait)} end
  if is_slow_mode == '1' then full_at = moment end
  counters[#counters + 1] = text_of(full_at + tonumber(cell))
  counters[#counters + 1] = counter
end
-- First, because a full Redis refuses no write after one that takes something out: the message would be posted, though its
-- author is told that Redis is full.
call('HSET', META, 'at', text_of(at))
if counters[1] then
  call('ZADD', LIMITS, unpack(counters))
  call('ZREMRANGEBYSCORE', LIMITS, '-inf', text_of(moment))
  call('PEXPIRE', LIMITS, ARGV[16])
end
expire()
evict(call('ZCARD', ORDER) + 1 - most)
local deadline = at + tonumber(lifespan)
local id = text_of(n + 1)

-- The number of the message among its author's live ones with the same first words, from 1 in each minute; 0 if there is
-- none. Members of AUTHORS are in the order of their ids, so the last one of a minute has the highest number.
local lead = author .. ':' .. ARGV[12]
local minute = lead .. ':' .. ARGV[11]
local namesake = 0
if call('ZRANGEBYLEX', AUTHORS, '[' .. lead .. ':', '(' .. lead .. ';', 'LIMIT', 0, 1)[1] then
  local last = call('ZREVRANGEBYLEX', AUTHORS, '(' .. minute .. ';', '[' .. minute .. ':', 'LIMIT', 0, 1)[1]
  local live = last and call('HGET', LIVE, string.match(last, '%d+$'))
  namesake = live and math.max(tonumber(string.match(live, '%d+$')), 1) + 1 or 1
end

local record = table.concat({'p', text_of(at), author, lifespan, ARGV[10], ARGV[14]}, ' ')
call('SET', P .. 'text:' .. id, ARGV[15], 'PX', keep)
call('ZADD', ORDER, id, id)
call('ZADD', DEADLINES, text_of(deadline), id)
call('ZADD', AUTHORS, 0, minute .. ':' .. id)
call('HSET', LIVE, id, table.concat({minute, text_of(at), text_of(size), known, text_of(namesake)}, ' '))
call('HSET', NONCES, nonce, id .. ' ' .. digest .. ' ' .. text_of(deadline))
call('ZADD', NONCE_ORDER, id, nonce)
if call('ZCARD', NONCE_ORDER) > 2 * most then
  local oldest = call('ZPOPMIN', NONCE_ORDER)
  call('HDEL', NONCES, oldest[1])
  call('ZREM', ENDS, 'n' .. text_of(tonumber(oldest[2])))
end
bytes = bytes + size
count('added', size)
push(record, text_of(namesake), ARGV[15])
save()
return {'new', id, unpack(summary())}
