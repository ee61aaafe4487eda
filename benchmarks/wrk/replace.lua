-- Replace seeded users in random order, each time by a different body.

local bench = require("bench")
local replaced = 0

function request()
  replaced = replaced + 1
  local id = bench.seeded_id()
  local n = bench.run * 10000000 + replaced
  return wrk.format(bench.replace_method, bench.item(id), bench.headers, bench.body(id, n))
end
