for _, nonce in ipairs(call('ZRANGEBYSCORE', ORDER, '-inf', ARGV[1], 'LIMIT', 0, 1000)) do forget(nonce) end
return 0
