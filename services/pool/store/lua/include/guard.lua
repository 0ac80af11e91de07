--[[ guard: may this store be used, and what time is it in the pool? The caller says what it knows
apart from the store: the last argument of each script is MessagePack, see Known in layout.py. ]]
local known = cmsgpack.unpack(ARGV[#ARGV])

local function state_of(key)
  local flat, state = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
  return state
end

-- The pool's time at its newest change; of a pool older than this field, that of its newest draw.
local function newest_us(state)
  return tonumber(state[STATE_CLOCK_US] or (state[STATE_LAST_MS] or 0) * 1000)
end

-- Whether the store is older than what was answered before: units, quotas, request ids would be
-- given twice.
local function is_behind(state)
  local seq = tonumber(state[STATE_SEQ] or 0)
  return seq < known[KNOWN_SEQ] or newest_us(state) < known[KNOWN_CLOCK_US]
end

-- The time of the pool's next change, Unix microseconds: it only goes forward, by one at least.
-- Nil: this server's clock is off, and nothing may be done. As services/pool/rule/clock.py has it.
local function next_us(state)
  local time, newest = redis.call('TIME'), newest_us(state)
  local now = time[1] * 1000000 + time[2]
  if now < known[KNOWN_EARLIEST_US] or now > known[KNOWN_LATEST_US] then return nil end
  if now < newest - CLOCK_BOUND_US then return nil end
  return math.max(now, newest + 1)
end

local function us_text(us)
  return string.format('%.0f', us)
end

local function ms_of(us)
  return math.floor(us / 1000)
end
