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

-- The weights and their sum as they are for this user.
local function weights_for(pool, user)
  local odds = pool.config[MODE] == ODDS
  local spent = odds and pool.config[WINS_PER_USER] > 0 and user[WINS] >= pool.config[WINS_PER_USER]
  if not spent and not pool.prize_limits then return pool.weights, pool.weight_sum end
  local weights, sum = {}, 0
  for i, prize in ipairs(pool.config[PRIZES]) do
    weights[i] = (spent or wins_left_of(prize, user) <= 0) and 0 or pool.weights[i]
    sum = sum + weights[i]
  end
  return weights, sum
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

-- Appends one draw to the ledger's entry and returns it as answered.
local function append(pool, batch, intent, index, user, drawn)
  pool.seq = pool.seq + 1
  batch.draws[#batch.draws + 1] =
    { intent[1], intent[2], index, intent[4], user[DRAWS], unpack(drawn) }
  return drawn
end

local function draw_one(pool, user, roll)
  local weights, sum = weights_for(pool, user)
  local total = pool.config[MODE] == ODDS and 1000000000 or sum
  local ticket = uniform(roll, total)
  local i = pick(weights, ticket)
  if not i then return nil, { 0, ticket, total - sum, total, '' } end
  local prize, weight = pool.config[PRIZES][i], weights[i]
  take(pool, i)
  note_win(user, prize)
  return i, { prize[ID], ticket, weight, total, string.sub(roll, 29, 32) }
end

-- The last prize goes with the last ticket, once.
local function draw_last_prize(pool, user, roll)
  local i = pool.last_prize
  if not i or pool.weight_sum > 0 or (pool.left[i] or 0) == 0 then return nil end
  local prize = pool.config[PRIZES][i]
  take(pool, i)
  note_win(user, prize)
  return { prize[ID], 0, 1, 1, string.sub(roll, 25, 28) }
end

local function draw_all(pool, batch, intent, user, now_ms)
  local drawn, first_seq, roll = {}, pool.seq + 1, nil
  for k = 1, intent[4] do
    roll = string.sub(intent[5], 32 * k - 31, 32 * k)
    local _, outcome = draw_one(pool, user, roll)
    note_draw(pool.config, user, now_ms)
    drawn[k] = append(pool, batch, intent, k - 1, user, outcome)
  end
  local extra = draw_last_prize(pool, user, roll)
  if extra then drawn[#drawn + 1] = append(pool, batch, intent, intent[4], user, extra) end
  local request = { first_seq, #drawn, intent[4] }
  batch.fresh[intent[3]], batch.requests[intent[3]], batch.drew[intent[1]] = request, request, true
  pool.state.last_user, pool.state.last_ms = intent[1], now_ms
  local left, next_ms = allowance(pool.config, user, now_ms)
  return { DRAWN, first_seq, left, next_ms, drawn }
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
