-- intents: one intent after the other, against the pool as the ones before left it.

-- {users, requests: what is known; fresh, drew, draws: what this call adds; blocked}
local function load_batch(intents, current, previous)
  local batch = { users = {}, fresh = {}, drew = {}, draws = {}, blocked = {} }
  local ids, digests = {}, {}
  for i, intent in ipairs(intents) do ids[i], digests[i] = intent[1], intent[3] end
  batch.requests = known_requests(digests, current, previous)
  local packed = redis.call('HMGET', KEYS[4], unpack(ids))
  for i, id in ipairs(ids) do
    if not batch.users[id] then batch.users[id] = unpack_user(packed[i]) end
  end
  if redis.call('EXISTS', KEYS[7]) == 1 then
    local untils = redis.call('HMGET', KEYS[7], unpack(ids))
    for i, id in ipairs(ids) do batch.blocked[id] = tonumber(untils[i] or nil) end
  end
  return batch
end

-- Units that this user could still draw; math.huge: without end.
local function available(pool, user)
  local units = 0
  for i, prize in ipairs(pool.config[PRIZES]) do
    if pool.weights[i] > 0 then
      units = units + math.min(pool.left[i] or math.huge, math.max(0, wins_left_of(prize, user)))
    end
  end
  return units
end

-- How long the pool is somebody else's alone, ms.
local function protected_ms(pool, user_id, now_ms)
  local protection_ms, last_user = pool.config[PROTECTION_MS] or 0, tonumber(pool.state.last_user or 0)
  if protection_ms == 0 or last_user == 0 or last_user == user_id then return 0 end
  return math.max(0, tonumber(pool.state.last_ms) + protection_ms - now_ms)
end

-- What becomes of one intent.
local function answer(pool, batch, intent, now_ms, shed)
  local user, request = batch.users[intent[1]], batch.requests[intent[3]]
  if request then
    if request[2] == 0 then return { VOID } end
    if request[3] ~= intent[4] then return { REQUEST_ID_REUSED } end
    local left, next_ms = allowance(pool.config, user, now_ms)
    return { REPLAYED, request[1], left, next_ms, request[2] }
  end
  local blocked = batch.blocked[intent[1]]
  if blocked and (blocked == 0 or now_ms < blocked) then return { BLOCKED } end
  if pool.status ~= OPEN then return { NOT_ONGOING, pool.status } end
  if shed then return { BACKLOG } end
  local wait_ms = protected_ms(pool, intent[1], now_ms)
  if wait_ms > 0 then return { PROTECTED, wait_ms } end
  local refusal = refusal_of(pool.config, user, intent[4], now_ms)
  if refusal then return refusal end
  if pool.config[MODE] ~= ODDS then
    local units = available(pool, user)
    if units < intent[4] then return { SOLD_OUT, units } end
  end
  return draw_all(pool, batch, intent, user, now_ms)
end
