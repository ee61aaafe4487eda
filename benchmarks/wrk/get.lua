-- GET one of the seeded users, in random order.

local bench = require("bench")
local requests = {}

function init()
  math.randomseed(bench.run)
  for n = 1, 65536 do
    requests[n] = wrk.format("GET", bench.item(bench.seeded_id()), bench.reading)
  end
end

function request()
  return requests[math.random(#requests)]
end
