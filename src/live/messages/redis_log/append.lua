-- ARGV from 4: version, session, nonce, digest of the text, author, lifespan, time of sending, lead, bytes, name, text.
local version, session, nonce, digest = tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7]
local author, lifespan, size = ARGV[8], ARGV[9], tonumber(ARGV[12])
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
expire()
while call('ZCARD', ORDER) >= most do evict_oldest() end
local deadline = at + tonumber(lifespan)
local record = table.concat({'p', text_of(at), author, lifespan, ARGV[10], ARGV[11], nonce, ARGV[13]}, ' ')
local id = text_of(n + 1)
call('SET', P .. 'text:' .. id, ARGV[14], 'PX', keep)
call('ZADD', ORDER, id, id)
call('ZADD', DEADLINES, text_of(deadline), id)
call('HSET', LIVE, id, author .. ' ' .. text_of(at) .. ' ' .. text_of(size))
call('HSET', NONCES, nonce, id .. ' ' .. digest .. ' ' .. text_of(deadline))
call('ZADD', NONCE_ORDER, id, nonce)
if call('ZCARD', NONCE_ORDER) > 2 * most then
  call('HDEL', NONCES, call('ZPOPMIN', NONCE_ORDER)[1])
end
bytes = bytes + size
count('added', size)
push(record, ARGV[14])
save()
return {'new', id, unpack(summary())}
