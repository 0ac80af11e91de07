--[[ selection: which prize a roll gives. The same rule as services/pool/rule/selection.py;
tests/unit/pool/rule/selection_cases.json runs on both. Integers only, all below 2^53. ]]
-- Bytes at .. at+5 of a roll, big-endian.
local byte, fmod = string.byte, math.fmod

local function six_bytes(roll, at)
  local a, b, c, d, e, f = byte(roll, at, at + 5)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

local function raw_sha1(text)
  return (string.gsub(redis.sha1hex(text), '..', function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- A uniform integer in [0, total): the first six-byte candidate below the largest
-- multiple of total; past the last candidate, those of the roll's SHA-1, and so on.
local function uniform(roll, total)
  local limit = TWO_48 - fmod(TWO_48, total)
  local last = 19
  while true do
    for at = 1, last, 6 do
      local number = six_bytes(roll, at)
      if number < limit then return fmod(number, total) end
    end
    roll, last = raw_sha1(roll), 13
  end
end

-- The weight of one prize with `left` units (nil: unlimited).
local function weight_of(mode, prize, left)
  if not prize[PRIZE_ENABLED] or prize[PRIZE_IS_LAST] or left == 0 then return 0 end
  if mode == MODE_TICKETS then return left end
  if mode == MODE_WEIGHTS and prize[PRIZE_WEIGHT] == 0 then return left or 0 end
  return prize[PRIZE_WEIGHT]
end

-- Index of the prize whose interval holds `ticket`; nil: a miss.
local function pick(weights, ticket)
  for i = 1, #weights do
    ticket = ticket - weights[i]
    if ticket < 0 then return i end
  end
  return nil
end
