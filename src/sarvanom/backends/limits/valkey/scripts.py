"""What Valkey, or Redis from version 5, is told to do, in Lua: each script is carried out whole, by one clock.

Keys begin with the same hash tag, so that a cluster keeps them together.
"""

from typing import Final

ROOT: Final = "{sarvanom-limits}"

DECIDE: Final = """\
local group = cjson.decode(ARGV[1])
local root = KEYS[1] .. ':'
local now = group.now or tonumber(redis.call('TIME')[1])

local function slide(key, seconds)
  local flat, used, seen, gone = redis.call('HGETALL', key), 0, {}, {}
  for i = 1, #flat, 2 do
    local second = tonumber(flat[i])
    if second < now - seconds then
      gone[#gone + 1] = flat[i]
    else
      local amount = tonumber(flat[i + 1])
      used = used + amount
      seen[#seen + 1] = {second, amount}
    end
  end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  return used, seen
end

local function freed_in(seen, seconds, amount)
  table.sort(seen, function(one, other) return one[1] < other[1] end)
  for _, entry in ipairs(seen) do
    amount = amount - entry[2]
    if amount <= 0 then return entry[1] + seconds + 1 - now end
  end
  return seconds + 1
end

local function held_elsewhere(key)
  local flat, total = redis.call('HGETALL', key), 0
  for i = 1, #flat, 2 do
    local count, ends = string.match(flat[i + 1], '^(%d+):(%d+)$')
    if not ends or tonumber(ends) < now then
      redis.call('HDEL', key, flat[i])
    elseif flat[i] ~= group.me then
      total = total + tonumber(count)
    end
  end
  return total
end

local function hold(key, count)
  if count == 0 then
    redis.call('HDEL', key, group.me)
  else
    redis.call('HSET', key, group.me, count .. ':' .. now + group.lease)
    redis.call('EXPIRE', key, group.lease + 1)
  end
end

local function decide(demand)
  local charges, place = demand[1], demand[2]
  local windows = {}
  for i, charge in ipairs(charges) do
    local key, seconds = root .. charge[1], charge[3]
    local used, seen = slide(key, seconds)
    local left = charge[2] - used
    if charge[4] > left then
      return {i, math.max(0, left), freed_in(seen, seconds, charge[4] - left)}
    end
    windows[i] = {key, seconds, left - charge[4], charge[4], seen}
  end
  if place ~= cjson.null and place then
    if held_elsewhere(root .. place[1]) + place[3] > place[2] then return {-1} end
    hold(root .. place[1], place[3])
  end
  local verdict = {0}
  for _, window in ipairs(windows) do
    redis.call('HINCRBY', window[1], now, window[4])
    redis.call('EXPIRE', window[1], window[2] + 2)
    local oldest = now
    for _, entry in ipairs(window[5]) do oldest = math.min(oldest, entry[1]) end
    verdict[#verdict + 1] = window[3]
    verdict[#verdict + 1] = oldest + window[2] + 1 - now
  end
  return verdict
end

for _, place in ipairs(group.places) do hold(root .. place[1], place[2]) end
local verdicts = {}
for i, demand in ipairs(group.demands) do verdicts[i] = decide(demand) end
return cjson.encode(verdicts)
"""
"""Decides demands in their order, after noting how many places this gateway holds for those who gave some back.

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
