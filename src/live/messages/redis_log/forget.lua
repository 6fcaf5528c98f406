-- Returns 1 if the script must be run again.
if call('HGET', META, 'forgotten') then return {'0', unpack(summary())} end
if thin_out() then return {'1', unpack(summary())} end
for _, id in ipairs(call('HKEYS', REPORTS)) do drop_report(id) end
drop(call('ZRANGE', ORDER, 0, -1), 'deleted')
call('UNLINK', STREAM, ORDER, DEADLINES, LIVE, KEPT, AUTHORS, ENDS, NONCES, NONCE_ORDER, LIMITS, REPORTS,
  REPORTERS)
-- No earlier cursor can be followed, and no number is given out again.
n = n + 1
base, bytes, report_bytes = n, 0, 0
save()
call('HDEL', META, 'version')
call('HSET', META, 'forgotten', '1')
call('PUBLISH', CHANNEL, 'f')
return {'0', unpack(summary())}
