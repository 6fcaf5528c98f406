-- ARGV from 2: the nonce, the name of the request, how long the turn lasts; 0 ends it.
if call('GET', TURN .. ARGV[2]) == ARGV[3] then call('PEXPIRE', TURN .. ARGV[2], ARGV[4]) end
return 0
