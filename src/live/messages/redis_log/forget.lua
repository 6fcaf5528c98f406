if call('HGET', META, 'forgotten') then return summary() end
for _, id in ipairs(call('ZRANGE', ORDER, 0, -1)) do drop(id, 'deleted') end
call('UNLINK', STREAM, ORDER, DEADLINES, LIVE, KEPT, NONCES, NONCE_ORDER, REPORTS, REASONS)
-- No earlier cursor can be followed, and no number is given out again.
n = n + 1
base, bytes, report_bytes = n, 0, 0
save()
call('HDEL', META, 'version')
call('HSET', META, 'forgotten', '1')
call('PUBLISH', CHANNEL, 'f')
return summary()
