-- For wrk: sends the requests in a folder in turn, and prints the result in one line.
--
-- The file `requests` contains the requests, each ended by a zero byte. If there is a file `nonces.N` for
-- thread N, each of its lines is used once, in place of "NONCE" in a request. A thread stops when it runs
-- out of lines, which `exhausted` counts.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  local folder = args[1]
  requests, turn, exhausted = {}, 0, 0
  local file = assert(io.open(folder .. "/requests", "rb"))
  for request in file:read("*a"):gmatch("%Z+") do
    local before, after = request:match("^(.*)NONCE(.*)$")
    table.insert(requests, { before = before or request, after = after })
  end
  file:close()
  nonces = io.open(folder .. "/nonces." .. number, "rb")
end

function request()
  turn = turn % #requests + 1
  local next = requests[turn]
  if not nonces then return next.before end
  local nonce = nonces:read("*l")
  if not nonce then
    exhausted = exhausted + 1
    wrk.thread:stop()
    return next.before .. next.after
  end
  return next.before .. nonce .. next.after
end

function done(summary, latency)
  local errors = summary.errors
  local exhausted = 0
  for _, thread in ipairs(threads) do exhausted = exhausted + thread:get("exhausted") end
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(("RESULT %d %d %d %d %d %d %d"):format(summary.requests, summary.duration, summary.bytes,
    failed, exhausted, latency:percentile(50), latency:percentile(99)))
end
