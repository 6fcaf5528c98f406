-- What all scripts of done forms begin with. KEYS[1] is the prefix of the forms' keys, ARGV[1] the site's time.
--
-- TURN and a nonce name the request that has its turn, and until when, as long as its process says so. MADE and a nonce have
-- what the form has made, and until when that is known; ORDER has the nonces of all done forms by that time.
local P = KEYS[1]
local ORDER, TURN, MADE = P .. 'order', P .. 'turn:', P .. 'made:'
local call = redis.call
local now = tonumber(ARGV[1])

local function forget(nonce)
  call('UNLINK', MADE .. nonce)
  call('ZREM', ORDER, nonce)
end

-- Returns the request that has the turn of a nonce.
local function owner_of(nonce)
  local turn = call('GET', TURN .. nonce)
  if not turn then return nil end
  local until_time, request = string.match(turn, '^(%-?%d+) (.*)$')
  return now < tonumber(until_time) and request or nil
end

local function hold(nonce, request, lasts, keep)
  local until_time = string.format('%.0f', now + tonumber(lasts))
  call('SET', TURN .. nonce, until_time .. ' ' .. request, 'PX', keep)
end
