-- ARGV[4]: the message.
local id = ARGV[4]
if not is_live(id) then return {'0', unpack(summary())} end
expire()
drop(id, 'deleted')
push('d ' .. text_of(at) .. ' ' .. id)
save()
return {'1', unpack(summary())}
