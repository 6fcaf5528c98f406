-- ARGV[4]: the message.
local id = ARGV[4]
if not is_live(id) then return {'0', unpack(summary())} end
expire()
local record = removal(id)
drop({id}, 'deleted')
push('d ' .. record)
save()
return {'1', unpack(summary())}
