-- Counts an act with each of its limits in turn, until one refuses it.
--
-- KEYS: the counters of each limit: a sorted set with the time at which each key has its full quota again, in
-- microseconds of the site's time. This is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371).
-- Last, if ARGV[4] is 1, a key that remembers for a minute that the act was counted.
-- ARGV: the site's time, the most keys of a limit, how long an unused set stays, 1 if the act is to be counted only once,
-- and for each limit: the key, the time that a cell takes, the time that a full burst but one takes, and 1 if a cell
-- restarts the time instead of adding to it.
--
-- Returns the number of the limit that refused, or 0; the time to wait; and 1 if a limit was reset.
local call = redis.call
local now, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local once = ARGV[4] == '1' and table.remove(KEYS)
local was_reset = 0
if once and call('EXISTS', once) == 1 then return {0, 0, 0} end
for i, set in ipairs(KEYS) do
  local key, cell, burst, restarts = unpack(ARGV, 4 * i + 1, 4 * i + 4)
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
  call('PEXPIRE', set, ARGV[3])
end
if once then call('SET', once, 1, 'PX', 60000) end
return {0, 0, was_reset}
