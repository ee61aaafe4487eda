"""What Valkey, or Redis from version 5, is told to do, in Lua: each script is carried out whole, by one clock.

Keys begin with the same hash tag, so that a cluster keeps them together.
"""

from typing import Final

ROOT: Final = "{sarvanom-limits}"

DECIDE: Final = """\
local group = cjson.decode(ARGV[1])
local root = KEYS[1] .. ':'
local now = group.now or tonumber(redis.call('TIME')[1])
local windows, places = {}, {}

local function window_of(key, seconds)
  if windows[key] then return windows[key] end
  local flat, gone = redis.call('HGETALL', root .. key), {}
  local window = {used = 0, oldest = now, seen = {}, seconds = seconds, added = 0}
  for i = 1, #flat, 2 do
    local second = tonumber(flat[i])
    if second < now - seconds then
      gone[#gone + 1] = flat[i]
    else
      local amount = tonumber(flat[i + 1])
      window.used = window.used + amount
      window.oldest = math.min(window.oldest, second)
      window.seen[#window.seen + 1] = {second, amount}
    end
  end
  if #gone > 0 then redis.call('HDEL', root .. key, unpack(gone)) end
  windows[key] = window
  return window
end

local function freed_in(window, amount)
  table.sort(window.seen, function(one, other) return one[1] < other[1] end)
  for _, entry in ipairs(window.seen) do
    amount = amount - entry[2]
    if amount <= 0 then return entry[1] + window.seconds + 1 - now end
  end
  return window.seconds + 1
end

local function held_elsewhere(key)
  local flat, total = redis.call('HGETALL', root .. key), 0
  for i = 1, #flat, 2 do
    local count, ends = string.match(flat[i + 1], '^(%d+):(%d+)$')
    if not ends or tonumber(ends) < now then
      redis.call('HDEL', root .. key, flat[i])
    elseif flat[i] ~= group.me then
      total = total + tonumber(count)
    end
  end
  return total
end

local function hold(key, count)
  if count == 0 then
    redis.call('HDEL', root .. key, group.me)
  else
    redis.call('HSET', root .. key, group.me, count .. ':' .. now + group.lease)
    redis.call('EXPIRE', root .. key, group.lease + 1)
  end
end

local function decide(charges, place)
  for i, charge in ipairs(charges) do
    local window = window_of(charge[1], charge[3])
    local left = charge[2] - window.used
    if charge[4] > left then
      return {i, math.max(0, left), freed_in(window, charge[4] - left)}
    end
  end
  if place ~= cjson.null then
    local known = places[place[1]] or {elsewhere = held_elsewhere(place[1])}
    places[place[1]] = known
    if known.elsewhere + place[3] > place[2] then return {-1} end
    known.mine = place[3]
  end
  local verdict = {0}
  for _, charge in ipairs(charges) do
    local window = windows[charge[1]]
    window.used = window.used + charge[4]
    window.added = window.added + charge[4]
    verdict[#verdict + 1] = charge[2] - window.used
    verdict[#verdict + 1] = window.oldest + window.seconds + 1 - now
  end
  return verdict
end

for _, place in ipairs(group.places) do hold(place[1], place[2]) end
local verdicts = {}
for i, demand in ipairs(group.demands) do verdicts[i] = decide(demand[1], demand[2]) end
for key, window in pairs(windows) do
  if window.added > 0 then
    redis.call('HINCRBY', root .. key, now, window.added)
    redis.call('EXPIRE', root .. key, window.seconds + 2)
  end
end
for key, place in pairs(places) do
  if place.mine then hold(key, place.mine) end
end
return cjson.encode(verdicts)
"""
"""Decides demands in their order, after noting how many places this gateway holds for those who gave some back.

Each window is read once and written once, however many of the demands are charged to it.

A verdict is 0 and two numbers for each charge (what is left, and in how many seconds it is more); or which charge was
refused, what is left of it and in how many seconds there is enough; or -1, if it was the place.
"""

STRIKE: Final = """\
local call = cjson.decode(ARGV[1])
local key = KEYS[1] .. ':' .. call.key
local time = redis.call('TIME')
local now = call.now or time[1] + time[2] / 1000000
local known = redis.call('HMGET', key, 'failures', 'last')
local failures, last = tonumber(known[1]) or 0, tonumber(known[2]) or now
if now - last > call.memory then failures = 0 end
if call.pardon then
  if call.pardon == 'all' or failures <= 1 then
    redis.call('DEL', key)
  else
    redis.call('HSET', key, 'failures', failures - 1)
  end
  return '0'
end
if failures >= call.free then
  local wait = math.min(call.longest, call.first * 2 ^ math.min(failures - call.free, 32))
  if last + wait > now then return tostring(last + wait - now) end
end
redis.call('HSET', key, 'failures', failures + 1, 'last', string.format('%.6f', now))
redis.call('EXPIRE', key, call.memory + 1)
return '0'
"""
"""Counts an attempt, or says how many seconds are left to wait; or takes one back, or all."""

REMEMBER: Final = """\
local call = cjson.decode(ARGV[1])
local key = KEYS[1] .. ':' .. call.key
local time = redis.call('TIME')
local now = call.now or time[1] + time[2] / 1000000
if not call.seconds then
  local ends = tonumber(redis.call('HGET', key, call.member))
  return (ends and ends > now) and '1' or '0'
end
redis.call('HSET', key, call.member, string.format('%.6f', now + call.seconds))
while redis.call('HLEN', key) > call.most do
  local flat, oldest, first = redis.call('HGETALL', key), nil, nil
  for i = 1, #flat, 2 do
    local ends = tonumber(flat[i + 1])
    if flat[i] ~= call.member and (not first or ends < first) then oldest, first = flat[i], ends end
  end
  redis.call('HDEL', key, oldest)
end
redis.call('EXPIRE', key, call.seconds + 1)
return '1'
"""
"""Remembers a member of a key for so many seconds, in the place of the one that was remembered first if there are too
many; or, without seconds, tells whether it is remembered."""
