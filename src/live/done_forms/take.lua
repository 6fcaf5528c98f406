-- ARGV from 2: the nonce, the name of the request, how long the turn lasts. Returns 1 and what the form has made, or 0 if
-- another request has its turn.
if not call('SET', TURN .. ARGV[2], ARGV[3], 'NX', 'PX', ARGV[4]) and call('GET', TURN .. ARGV[2]) ~= ARGV[3] then
  return {0, ''}
end
local made = call('GET', MADE .. ARGV[2])
if made then
  local known_until, what = string.match(made, '^(%-?%d+) (.*)$')
  if now < tonumber(known_until) then return {1, what} end
end
return {1, ''}
