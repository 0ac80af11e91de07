-- pool: the pool as one call of the script sees it, read once and written once.

-- {config, state, seq, status, opening_ms, left = units left by prize index (nil: unlimited),
-- weights, weight_sum, late = draws that users made with nothing left,
-- dirty = indexes whose stock has changed}; nil: not loaded.
local function load_pool(state, now_ms)
  local packed = redis.call('GET', KEY_CONFIG)
  if not packed then return nil end
  local config = cmsgpack.unpack(packed)
  local pool = {
    config = config, state = state, seq = tonumber(state[STATE_SEQ]),
    status = status_of(config, now_ms), opening_ms = opening_ms(config, state),
    left = {}, weights = {}, weight_sum = 0, dirty = {}, prize_limits = false,
    late = tonumber(state[STATE_LATE] or 0),
  }
  local ids = {}
  for i, prize in ipairs(config[CONFIG_PRIZES]) do
    ids[i] = prize[PRIZE_ID]
    pool.prize_limits = pool.prize_limits or prize[PRIZE_WINS_PER_USER] > 0
    if prize[PRIZE_IS_LAST] and prize[PRIZE_ENABLED] then pool.last_prize = i end
  end
  local stock = #ids > 0 and redis.call('HMGET', KEY_STOCK, unpack(ids)) or {}
  for i, prize in ipairs(config[CONFIG_PRIZES]) do
    pool.left[i] = tonumber(stock[i] or nil)
    pool.weights[i] = weight_of(config[CONFIG_MODE], prize, pool.left[i])
    pool.weight_sum = pool.weight_sum + pool.weights[i]
  end
  return pool
end

-- Takes one unit of the prize at index i.
local function take(pool, i)
  if not pool.left[i] then return end
  pool.left[i] = pool.left[i] - 1
  pool.dirty[i] = true
  local weight = weight_of(pool.config[CONFIG_MODE], pool.config[CONFIG_PRIZES][i], pool.left[i])
  pool.weight_sum = pool.weight_sum + weight - pool.weights[i]
  pool.weights[i] = weight
end

local function write_pool(pool, batch, requests, now_ms)
  local state, stock, users, drew = pool.state, {}, {}, {}
  for i in pairs(pool.dirty) do
    stock[#stock + 1] = pool.config[CONFIG_PRIZES][i][PRIZE_ID]
    stock[#stock + 1] = pool.left[i]
  end
  for n, user_id in ipairs(batch.drew) do
    users[2 * n - 1], users[2 * n] = user_id, cmsgpack.pack(batch.users[user_id])
  end
  for n, digest in ipairs(batch.fresh) do
    drew[2 * n - 1], drew[2 * n] = digest, cmsgpack.pack(batch.requests[digest])
  end
  if #stock > 0 then redis.call('HSET', KEY_STOCK, unpack(stock)) end
  redis.call('HSET', KEY_USERS, unpack(users))
  note_requests(requests, drew)
  redis.call('HSET', KEY_STATE, STATE_SEQ, pool.seq, STATE_LAST_MS, now_ms,
    STATE_LAST_USER, state[STATE_LAST_USER], STATE_REQ_DAY, state[STATE_REQ_DAY],
    STATE_REQ_HALF, state[STATE_REQ_HALF], STATE_CHAIN, state[STATE_CHAIN],
    STATE_CLOCK_US, state[STATE_CLOCK_US], STATE_LATE, pool.late)
end
