-- GET the first page of 50.

local bench = require("bench")
local page

function init()
  page = wrk.format("GET", bench.listing, bench.reading)
end

function request()
  return page
end
