-- What every script shares: the system's paths and body from the environment, and one JSON line at the end.

local bench = {}

local function setting(name)
  return os.getenv("BENCH_" .. name) or error("BENCH_" .. name .. " is not set")
end

bench.collection = setting("COLLECTION")
bench.listing = setting("LISTING")
bench.replace_method = setting("REPLACE_METHOD")
bench.run = tonumber(setting("RUN"))
bench.seeded = tonumber(setting("SEEDED"))
-- nil where nobody asks who the benchmark is: a header without a value is then not sent.
local authorization = setting("AUTHORIZATION") ~= "" and setting("AUTHORIZATION") or nil
bench.reading = { ["Authorization"] = authorization }
bench.headers = { ["Content-Type"] = "application/json", ["Authorization"] = authorization }

local template = setting("BODY")
local placeholders = {}

-- The id of one of the seeded users, at random.
function bench.seeded_id()
  return string.format("u%014d", math.random(0, bench.seeded - 1))
end

function bench.item(id)
  return bench.collection .. "/" .. id
end

-- The JSON body for one user; n makes two bodies for the same id differ.
function bench.body(id, n)
  placeholders.ID = id
  placeholders.N = tostring(n)
  return (template:gsub("%$(%u+)", placeholders))
end

-- Parsing answers costs wrk a core's time, so it happens only when a failed run is repeated to see why.
if os.getenv("BENCH_SAMPLE") then
  local seen = false
  function response(status, _, body)
    if not seen and (status < 200 or status > 299) then
      seen = true
      print("SAMPLE " .. status .. " " .. body:gsub("%s+", " "):sub(1, 500))
    end
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  print(string.format(
    'BENCH {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, '
      .. '"refused": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end

return bench
