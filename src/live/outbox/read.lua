-- Moves the read marks of one person forward. KEYS: a hash of rooms, each with its mark and when the mark moved.
-- ARGV: the site's time in milliseconds, the longest lifespan of a message, how long the unused hash stays, and for each
-- mark: the room, the message, and when the mark moved.
local call = redis.call
local function parts(mark) return string.match(mark, '^(%d+) (%-?%d+)$') end
for i = 4, #ARGV, 3 do
  local known = call('HGET', KEYS[1], ARGV[i])
  if not known or tonumber((parts(known))) < tonumber(ARGV[i + 1]) then
    call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
  end
end
if call('HLEN', KEYS[1]) > 64 then
  -- All messages up to an old mark have expired.
  local marks = call('HGETALL', KEYS[1])
  for i = 1, #marks, 2 do
    local _, moved_at = parts(marks[i + 1])
    if tonumber(moved_at) + tonumber(ARGV[2]) <= tonumber(ARGV[1]) then call('HDEL', KEYS[1], marks[i]) end
  end
end
call('PEXPIRE', KEYS[1], ARGV[3])
return 0
