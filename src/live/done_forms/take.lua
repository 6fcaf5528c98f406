-- ARGV from 2: the nonce, the name of the request, how long the turn lasts, how long the key stays. Returns 1 and what the
-- form has made, or 0 if another request has its turn.
local owner = owner_of(ARGV[2])
if owner and owner ~= ARGV[3] then return {0, ''} end
hold(unpack(ARGV, 2, 5))
local made = call('GET', MADE .. ARGV[2])
if made then
  local known_until, what = string.match(made, '^(%-?%d+) (.*)$')
  if now < tonumber(known_until) then return {1, what} end
end
return {1, ''}
