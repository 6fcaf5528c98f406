-- What the scripts of tries begin with. A try is one at the password of a private room, by a person.
--
-- KEYS: a sorted set with the time at which each name has its full quota again; a sorted set with the time at which each
-- person's tries at a name no longer matter; a hash with those tries: the number of pending ones, and the times of the
-- wrong ones, oldest first. All times are microseconds of the site's time.
-- ARGV: the site's time, how long unused keys stay, the name, the person and the name, the time that a cell of a name
-- takes, how long a wrong try counts, and the number of wrong tries that a person always has.
local call = redis.call
local NAMES, PEOPLE, TRIES = KEYS[1], KEYS[2], KEYS[3]
local now, name, person = tonumber(ARGV[1]), ARGV[3], ARGV[4]
local cell, window, free = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local function text_of(number) return string.format('%.0f', number) end

local pending, wrong = 0, {}
local known = call('HGET', TRIES, person)
if known then
  local numbers = string.gmatch(known, '%d+')
  pending = tonumber(numbers())
  for time in numbers do
    if now < tonumber(time) + window then wrong[#wrong + 1] = time end
  end
end

local function save()
  if pending == 0 and #wrong == 0 then
    call('ZREM', PEOPLE, person)
    call('HDEL', TRIES, person)
  else
    -- A try that never ends, because its process was killed, is forgotten, too.
    call('ZADD', PEOPLE, text_of(now + window), person)
    call('HSET', TRIES, person, table.concat({text_of(pending), unpack(wrong)}, ' '))
  end
  for _, key in ipairs(KEYS) do call('PEXPIRE', key, ARGV[2]) end
end
