-- ARGV from 2: the nonce, the name of the request.
if owner_of(ARGV[2]) == ARGV[3] then call('UNLINK', TURN .. ARGV[2]) end
return 0
