-- ARGV: the site's time. All drafts are kept for the same time, so the oldest expires first.
local oldest = call('ZRANGE', ORDER, 0, 0)[1]
while oldest and tonumber(string.match(call('HGET', KEPT, oldest), '^%-?%d+')) <= tonumber(ARGV[1]) do
  drop(oldest)
  oldest = call('ZRANGE', ORDER, 0, 0)[1]
end
return 0
