-- ARGV: the draft.
drop(ARGV[1])
return 0
