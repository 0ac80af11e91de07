--[[ requests: which request ids have drawn, see layout.py; a void one has
places 0, and never draws. Two hashes take turns by UTC day: today's and yesterday's are known,
so an id is known for 24 h at least and 48 h at most. ]]

-- Empties what is too old; returns today's key, yesterday's key.
local function turn_requests(state, keys, now_ms)
  local day = math.floor(now_ms / DAY_MS)
  local current, previous = keys[day % 2 + 1], keys[(day + 1) % 2 + 1]
  local known = tonumber(state[STATE_REQ_DAY]) or day
  if day > known then
    redis.call('UNLINK', current)
    if day > known + 1 then redis.call('UNLINK', previous) end
  end
  state[STATE_REQ_DAY] = math.max(day, known)
  return current, previous
end

-- digest -> request, for those of `digests` that have drawn.
local function known_requests(digests, current, previous)
  local found = {}
  local today = redis.call('HMGET', current, unpack(digests))
  local before = redis.call('HMGET', previous, unpack(digests))
  for i, digest in ipairs(digests) do
    local packed = today[i] or before[i]
    if packed then found[digest] = cmsgpack.unpack(packed) end
  end
  return found
end
