-- pool: the pool as one call of the script sees it, read once and written once.

local function status_of(config, now_ms)
  if config[STATUS] == ENDED or (config[END_MS] > 0 and now_ms >= config[END_MS]) then return ENDED end
  if config[STATUS] == PAUSED then return PAUSED end
  if now_ms < config[START_MS] then return 0 end
  return OPEN
end

local function state_of(key)
  local flat, state = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
  return state
end

-- {config, state, seq, status, left = units left by prize index (nil: unlimited),
-- weights, weight_sum, dirty = indexes whose stock has changed}; nil: not loaded.
local function load_pool(now_ms)
  local packed = redis.call('GET', KEYS[1])
  if not packed then return nil end
  local config, state = cmsgpack.unpack(packed), state_of(KEYS[2])
  local pool = {
    config = config, state = state, seq = tonumber(state.seq), status = status_of(config, now_ms),
    left = {}, weights = {}, weight_sum = 0, dirty = {}, prize_limits = false,
  }
  local ids = {}
  for i, prize in ipairs(config[PRIZES]) do
    ids[i] = prize[ID]
    pool.prize_limits = pool.prize_limits or prize[PRIZE_WINS] > 0
    if prize[LAST_PRIZE] and prize[ENABLED] then pool.last_prize = i end
  end
  local stock = #ids > 0 and redis.call('HMGET', KEYS[3], unpack(ids)) or {}
  for i, prize in ipairs(config[PRIZES]) do
    pool.left[i] = tonumber(stock[i] or nil)
    pool.weights[i] = weight_of(config[MODE], prize, pool.left[i])
    pool.weight_sum = pool.weight_sum + pool.weights[i]
  end
  return pool
end

-- Takes one unit of the prize at index i.
local function take(pool, i)
  if not pool.left[i] then return end
  pool.left[i] = pool.left[i] - 1
  pool.dirty[i] = true
  local weight = weight_of(pool.config[MODE], pool.config[PRIZES][i], pool.left[i])
  pool.weight_sum = pool.weight_sum + weight - pool.weights[i]
  pool.weights[i] = weight
end

local function write_pool(pool, batch, requests_key, now_ms)
  local stock, users, requests = {}, {}, {}
  for i in pairs(pool.dirty) do
    stock[#stock + 1] = pool.config[PRIZES][i][ID]
    stock[#stock + 1] = pool.left[i]
  end
  for user_id in pairs(batch.drew) do
    users[#users + 1] = user_id
    users[#users + 1] = cmsgpack.pack(batch.users[user_id])
  end
  for digest, request in pairs(batch.fresh) do
    requests[#requests + 1] = digest
    requests[#requests + 1] = cmsgpack.pack(request)
  end
  if #stock > 0 then redis.call('HSET', KEYS[3], unpack(stock)) end
  redis.call('HSET', KEYS[4], unpack(users))
  redis.call('HSET', requests_key, unpack(requests))
  redis.call('HSET', KEYS[2], 'seq', pool.seq, 'last_ms', now_ms, 'last_user', pool.state.last_user,
    'req_day', pool.state.req_day, 'chain', pool.state.chain)
end
