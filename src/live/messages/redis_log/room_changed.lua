-- ARGV[4]: the room's version after the change. Every process reads the change from the feed and tells it.
local told = call('HGET', META, 'changed')
if told and tonumber(told) >= tonumber(ARGV[4]) then return summary() end
-- First, because a full Redis refuses no write after one that takes no memory.
call('PEXPIRE', META, keep)
call('HSET', META, 'changed', ARGV[4])
expire()
push('r ' .. text_of(at))
save()
return summary()
