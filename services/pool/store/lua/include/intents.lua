-- intents: one intent after the other, against the pool as the ones before left it.

-- {intents; users, requests: what is known; fresh: digests, drew: user ids (one may come again),
-- draws and their count, drawn, orders: what this call adds}
local function load_batch(intents, requests, drawn)
  local batch = {
    intents = intents, users = {}, fresh = {}, drew = {}, draws = {}, count = 0, drawn = drawn,
    orders = {},
  }
  local user_ids = intents[INTENT_USER_ID]
  batch.requests = known_requests(intents[INTENT_DIGEST], requests)
  local packed = redis.call('HMGET', KEY_USERS, unpack(user_ids))
  for i, id in ipairs(user_ids) do
    if not batch.users[id] then batch.users[id] = unpack_user(packed[i]) end
  end
  return batch
end

-- Units that this user could still draw; math.huge: without end.
local function available(pool, user)
  local units = 0
  for i, prize in ipairs(pool.config[CONFIG_PRIZES]) do
    if pool.weights[i] > 0 then
      units = units + math.min(pool.left[i] or math.huge, math.max(0, wins_left_of(prize, user)))
    end
  end
  return units
end

-- Whether all is gone that could be won.
local function is_won_out(pool)
  if pool.weight_sum > 0 then return false end
  for _, prize in ipairs(pool.config[CONFIG_PRIZES]) do
    if prize[PRIZE_ENABLED] and prize[PRIZE_WEIGHT] > 0 then return true end
  end
  return false
end

-- How long the pool is somebody else's alone, ms.
local function protected_ms(pool, user_id, now_ms)
  local protection_ms = pool.config[CONFIG_PROTECTION_MS] or 0
  if protection_ms == 0 then return 0 end
  local last_user = tonumber(pool.state[STATE_LAST_USER] or 0)
  if last_user == 0 or last_user == user_id then return 0 end
  return math.max(0, tonumber(pool.state[STATE_LAST_MS]) + protection_ms - now_ms)
end

-- What becomes of intent i, as note_answer takes it; blocked: until when it may not draw.
local function answer(pool, batch, i, blocked, now_ms, shed, stuck)
  local intents = batch.intents
  local user_id, count = intents[INTENT_USER_ID][i], intents[INTENT_DRAWS][i]
  local user, request = batch.users[user_id], batch.requests[intents[INTENT_DIGEST][i]]
  if request then
    local places = request[REQUEST_PLACES]
    if places == 0 then return CODE_VOID end
    if request[REQUEST_DRAWS] ~= count then return CODE_REQUEST_ID_REUSED end
    return CODE_REPLAYED, request[REQUEST_FIRST_SEQ], places, allowance(pool.config, user, now_ms)
  end
  if pool.clock_is_off then return CODE_CLOCK_OFF end
  if blocked and (blocked == 0 or now_ms < blocked) then return CODE_BLOCKED end
  if pool.status ~= STATUS_OPEN then return CODE_NOT_ONGOING, pool.status end
  if shed then return CODE_BACKLOG end
  if stuck then return CODE_UNCONFIRMED end
  local wait_ms = protected_ms(pool, user_id, now_ms)
  if wait_ms > 0 then return CODE_PROTECTED, wait_ms end
  local ticket = intents[INTENT_DRAW_TICKET][i]
  if ticket then
    local refusal, number = ticket_refusal(pool, ticket, now_ms)
    if refusal then return refusal, number end
  end
  local refusal, number = limit_reached(pool.config, user, count, now_ms)
  if refusal then return refusal, number end
  if pool.config[CONFIG_MODE] ~= MODE_ODDS then
    local units = available(pool, user)
    if units < count then return CODE_SOLD_OUT, units end
  elseif ticket and is_won_out(pool) then  -- not of a service: it was paid for
    if pool.late >= pool.most_late then return CODE_NOTHING_TO_WIN end
    pool.late = pool.late + 1
  end
  return draw_all(pool, batch, i, user, now_ms)
end
