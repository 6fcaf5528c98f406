-- Counts an act with each of its limits in turn, until one refuses it.
--
-- KEYS: the counters of each limit: a sorted set with the time at which each key has its full quota again, in
-- microseconds of the site's time. This is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371).
-- ARGV: the site's time, the most keys of a limit, how long an unused set stays, and for each limit: the key, the time that
-- a cell takes, and the time that a full burst but one takes.
--
-- Returns the time to wait, or 0; and 1 if a limit was reset.
local call = redis.call
local now, most, stay = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local was_reset = 0
for i, set in ipairs(KEYS) do
  local key, cell, burst = unpack(ARGV, 3 * i + 1, 3 * i + 3)
  call('ZREMRANGEBYSCORE', set, '-inf', ARGV[1])
  local full_at = tonumber(call('ZSCORE', set, key) or now)
  local wait = full_at - tonumber(burst) - now
  if wait > 0 then return {wait, was_reset} end
  if call('ZCARD', set) >= most then
    call('UNLINK', set)
    was_reset = 1
  end
  call('ZADD', set, string.format('%.0f', full_at + tonumber(cell)), key)
  call('PEXPIRE', set, stay)
end
return {0, was_reset}
