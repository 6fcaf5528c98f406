-- ARGV[4]: a version of the room. ARGV[5]: 1 if it was read from the database, so that the log knows it from now on.
-- First, because a full Redis refuses no write after one that takes no memory.
call('PEXPIRE', META, keep)
local told = math.max(tonumber(ARGV[4]), tonumber(call('HGET', META, 'told') or '0'))
local known = call('HGET', META, 'version')
if is_new then save() end
call('HSET', META, 'told', text_of(told))
if (known or ARGV[5] == '1') and (not known or tonumber(known) < told) then
  call('HSET', META, 'version', text_of(told))
end
if ARGV[5] == '1' then call('HDEL', META, 'forgotten') end
return 1
