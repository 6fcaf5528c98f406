-- Counts an act with each of its limits in turn, until one refuses it.
--
-- KEYS: the counters of each limit: a sorted set with the time at which each key has its full quota again, in
-- microseconds of the site's time. This is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371).
-- Last, if ARGV[4] names the act, a sorted set of the acts that were counted a moment ago, with the time until which that
-- is remembered.
-- ARGV: the site's time, the most keys of a limit, how long an unused set stays, the name of the act if it is to be counted
-- only once, how long that is remembered, and for each limit: the key, the time that a cell takes, the time that a full
-- burst but one takes, and 1 if a cell restarts the time instead of adding to it.
--
-- Returns the number of the limit that refused, or 0; the time to wait; and 1 if a limit was reset.
local call = redis.call
local now, most, stay, act = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local acts = act ~= '' and table.remove(KEYS)
local was_reset = 0
if acts then
  local until_time = call('ZSCORE', acts, act)
  if until_time and now < tonumber(until_time) then return {0, 0, 0} end
end
for i, set in ipairs(KEYS) do
  local key, cell, burst, restarts = unpack(ARGV, 4 * i + 2, 4 * i + 5)
  call('ZREMRANGEBYSCORE', set, '-inf', ARGV[1])
  local full_at = tonumber(call('ZSCORE', set, key) or now)
  local wait = full_at - tonumber(burst) - now
  if wait > 0 then return {i, wait, was_reset} end
  if call('ZCARD', set) >= most then
    call('UNLINK', set)
    was_reset = 1
  end
  if restarts == '1' then full_at = now end
  call('ZADD', set, string.format('%.0f', full_at + tonumber(cell)), key)
  call('PEXPIRE', set, stay)
end
if acts then
  call('ZREMRANGEBYSCORE', acts, '-inf', ARGV[1])
  call('ZADD', acts, string.format('%.0f', now + tonumber(ARGV[5])), act)
  call('PEXPIRE', acts, stay)
end
return {0, 0, was_reset}
