--[[ requests: which request ids have drawn, see layout.py; a void one has places 0, and never
draws. Two hashes take turns by UTC day: today's, and that of the day before on which something was
drawn. So an id is known for 24 h at least, and a clock that jumps makes none forgotten. ]]

-- {current, previous: keys; is_fresh: current holds what is to be forgotten}; state is moved on.
local function turn_requests(state, keys, now_ms)
  local day = math.floor(now_ms / DAY_MS)
  local known = tonumber(state[STATE_REQ_DAY]) or day
  local half = tonumber(state[STATE_REQ_HALF]) or known % 2
  local is_fresh = day > known
  if is_fresh then half = 1 - half end
  state[STATE_REQ_DAY], state[STATE_REQ_HALF] = math.max(day, known), half
  return { current = keys[half + 1], previous = keys[2 - half], is_fresh = is_fresh }
end

local function packed_requests(day, digests)
  if redis.call('EXISTS', day) == 0 then return {} end
  return redis.call('HMGET', day, unpack(digests))
end

-- digest -> request, for those of `digests` that have drawn.
local function known_requests(digests, requests)
  local found = {}
  local today = requests.is_fresh and {} or packed_requests(requests.current, digests)
  local before = packed_requests(requests.previous, digests)
  for i, digest in ipairs(digests) do
    local packed = today[i] or before[i]
    if packed then found[digest] = cmsgpack.unpack(packed) end
  end
  return found
end

-- Notes requests, as digest, packed, digest, packed, ...
local function note_requests(requests, flat)
  if requests.is_fresh then redis.call('UNLINK', requests.current) end
  redis.call('HSET', requests.current, unpack(flat))
end
