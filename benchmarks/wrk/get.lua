-- GET one of the seeded users, in random order.

local bench = require("bench")
local requests = {}

function init()
  for n = 1, 4096 do
    requests[n] = wrk.format("GET", bench.item(bench.seeded_id()))
  end
end

function request()
  return requests[math.random(#requests)]
end
