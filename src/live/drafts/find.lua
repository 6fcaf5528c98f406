-- ARGV: the draft, the site's time. Returns the text, if there is one that has not expired.
local kept = call('HGET', KEPT, ARGV[1])
if kept and tonumber(ARGV[2]) < tonumber(string.match(kept, '^%-?%d+')) then return call('GET', TEXT .. ARGV[1]) end
return nil
