-- What all scripts of drafts begin with. KEYS[1] is the prefix of the drafts' keys.
--
-- A draft is named by its author and room. Its text is a key of its own, so that the text is gone from Redis's memory
-- when the draft is. ORDER has all drafts, oldest first; OWN and an author have those of one person; KEPT says of each
-- draft when it expires, and its bytes.
local P = KEYS[1]
local ORDER, KEPT, BYTES, OWN, TEXT = P .. 'order', P .. 'kept', P .. 'bytes', P .. 'of:', P .. 'text:'
local call = redis.call

local function drop(draft)
  local kept = call('HGET', KEPT, draft)
  if not kept then return end
  call('UNLINK', TEXT .. draft)
  call('ZREM', ORDER, draft)
  call('ZREM', OWN .. string.match(draft, '^[^:]+'), draft)
  call('HDEL', KEPT, draft)
  call('DECRBY', BYTES, string.match(kept, '%d+$'))
end
