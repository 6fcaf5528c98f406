-- ARGV from 2: the nonce, what was made, until when it is known, the most forms, how long the keys stay.
local nonce, known_until = ARGV[2], ARGV[4]
local before = call('ZSCORE', ORDER, nonce)
if before and now < tonumber(before) then known_until = string.format('%.0f', tonumber(before)) end
call('SET', MADE .. nonce, known_until .. ' ' .. ARGV[3], 'PX', ARGV[6])
call('ZADD', ORDER, known_until, nonce)
while call('ZCARD', ORDER) > tonumber(ARGV[5]) do forget(call('ZRANGE', ORDER, 0, 0)[1]) end
call('PEXPIRE', ORDER, ARGV[6])
return 0
