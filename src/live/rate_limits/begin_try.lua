-- ARGV from 8: the time that a full burst of a name but one takes, and the most names or people. Returns the time to
-- wait, or 0, and 1 if the limit was reset.
call('ZREMRANGEBYSCORE', NAMES, '-inf', ARGV[1])
for _, old in ipairs(call('ZRANGEBYSCORE', PEOPLE, '-inf', ARGV[1])) do
  call('ZREM', PEOPLE, old)
  call('HDEL', TRIES, old)
end
local was_reset = 0
if math.max(call('ZCARD', NAMES), call('ZCARD', PEOPLE)) >= tonumber(ARGV[9]) then
  call('UNLINK', NAMES, PEOPLE, TRIES)
  pending, wrong, was_reset = 0, {}, 1
end
local full_at = tonumber(call('ZSCORE', NAMES, name) or now)
local name_wait = full_at - tonumber(ARGV[8]) - now
if name_wait > 0 and pending + #wrong >= free then
  local own_wait = wrong[1] and tonumber(wrong[1]) + window - now or name_wait
  return {math.min(name_wait, own_wait), was_reset}
end
call('ZADD', NAMES, text_of(full_at + cell), name)
pending = pending + 1
save()
return {0, was_reset}
