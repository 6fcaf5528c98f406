-- ARGV: the author.
for _, draft in ipairs(call('ZRANGE', OWN .. ARGV[1], 0, -1)) do drop(draft) end
return 0
