-- ARGV: the author, the room, the text, when it expires, the most drafts of one person, the most of all, the most bytes of
-- all, and how long the keys stay.
local author, text, keep = ARGV[1], ARGV[3], ARGV[8]
local draft, own = author .. ':' .. ARGV[2], OWN .. author
drop(draft)
while call('ZCARD', own) >= tonumber(ARGV[5]) do drop(call('ZRANGE', own, 0, 0)[1]) end
local newest = call('ZRANGE', ORDER, -1, -1, 'WITHSCORES')[2]
local number = string.format('%.0f', tonumber(newest or '0') + 1)
call('SET', TEXT .. draft, text, 'PX', keep)
call('ZADD', ORDER, number, draft)
call('ZADD', own, number, draft)
call('HSET', KEPT, draft, ARGV[4] .. ' ' .. #text)
call('INCRBY', BYTES, #text)
while call('ZCARD', ORDER) > tonumber(ARGV[6]) or tonumber(call('GET', BYTES)) > tonumber(ARGV[7]) do
  drop(call('ZRANGE', ORDER, 0, 0)[1])
end
for _, key in ipairs({ORDER, KEPT, BYTES, own}) do call('PEXPIRE', key, keep) end
return 0
