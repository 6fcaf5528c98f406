-- Notes what a room takes, and returns the site's bytes and the largest room.
-- KEYS: bytes, revisions, total, activity, reported.
-- ARGV: room, bytes, revision, the newest live message's time and its deadline, the number of reports.
local call = redis.call
local known = tonumber(call('HGET', KEYS[2], ARGV[1]) or '-1')
-- Another process may have told of a later revision before.
if tonumber(ARGV[3]) >= known then
  -- First, because a full Redis refuses no write after one that takes something out.
  call('HDEL', KEYS[4], ARGV[1])
  local before = tonumber(call('ZSCORE', KEYS[1], ARGV[1]) or '0')
  local after = tonumber(ARGV[2])
  call('INCRBY', KEYS[3], string.format('%.0f', after - before))
  if after > 0 then
    call('ZADD', KEYS[1], ARGV[2], ARGV[1])
  else
    call('ZREM', KEYS[1], ARGV[1])
  end
  call('HSET', KEYS[2], ARGV[1], ARGV[3])
  if ARGV[4] ~= '0' then
    call('HSET', KEYS[4], ARGV[1], ARGV[4] .. ' ' .. ARGV[5])
  end
  call(ARGV[6] == '0' and 'SREM' or 'SADD', KEYS[5], ARGV[1])
end
return {call('GET', KEYS[3]) or '0', call('ZREVRANGE', KEYS[1], 0, 0)[1] or ''}
