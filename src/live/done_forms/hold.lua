-- ARGV from 2: the nonce, the name of the request, how long the turn lasts, how long the key stays.
if owner_of(ARGV[2]) == ARGV[3] then hold(unpack(ARGV, 2, 5)) end
return 0
