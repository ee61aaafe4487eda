-- POST users that do not exist yet; the run number keeps ids of one run apart from those of all others.

local bench = require("bench")
local created = 0

function request()
  created = created + 1
  local id = string.format("c%04d%010d", bench.run, created)
  return wrk.format("POST", bench.collection, bench.headers, bench.body(id, created))
end
