-- Notes what a room takes, and returns the site's bytes and the largest room.
-- KEYS: bytes, revisions, total, activity, reported, emptied.
-- ARGV: room, bytes, revision, the newest live message's time and its deadline, the number of reports, the site's time,
-- and the time before which nobody tells of a room any more that was empty then.
local call = redis.call
local room = ARGV[1]
local known = tonumber(call('HGET', KEYS[2], room) or '-1')
-- Another process may have told of a later revision before.
if tonumber(ARGV[3]) >= known then
  -- First, because a full Redis refuses no write after one that takes something out.
  call('HDEL', KEYS[4], room)
  local before = tonumber(call('ZSCORE', KEYS[1], room) or '0')
  local after = tonumber(ARGV[2])
  call('INCRBY', KEYS[3], string.format('%.0f', after - before))
  if after > 0 then
    call('ZADD', KEYS[1], ARGV[2], room)
    call('ZREM', KEYS[6], room)
  else
    call('ZREM', KEYS[1], room)
    call('ZADD', KEYS[6], ARGV[7], room)
  end
  call('HSET', KEYS[2], room, ARGV[3])
  if ARGV[4] ~= '0' then
    call('HSET', KEYS[4], room, ARGV[4] .. ' ' .. ARGV[5])
  end
  call(ARGV[6] == '0' and 'SREM' or 'SADD', KEYS[5], room)
end
for _, empty in ipairs(call('ZRANGEBYSCORE', KEYS[6], '-inf', ARGV[8], 'LIMIT', 0, 16)) do
  call('HDEL', KEYS[2], empty)
  call('ZREM', KEYS[6], empty)
end
return {call('GET', KEYS[3]) or '0', call('ZREVRANGE', KEYS[1], 0, 0)[1] or ''}
