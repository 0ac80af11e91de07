-- drawing: what one allowed intent draws.

-- The weights and their sum as they are for this user.
local function weights_for(pool, user)
  local limit = pool.config[CONFIG_WINS_PER_USER]
  local spent = pool.config[CONFIG_MODE] == MODE_ODDS and limit > 0 and user[USER_WINS] >= limit
  if not spent and not pool.prize_limits then return pool.weights, pool.weight_sum end
  local weights, sum = {}, 0
  for i, prize in ipairs(pool.config[CONFIG_PRIZES]) do
    weights[i] = (spent or wins_left_of(prize, user) <= 0) and 0 or pool.weights[i]
    sum = sum + weights[i]
  end
  return weights, sum
end

-- The bytes of intent i's prize code number index; from 0.
local function code_bytes(batch, i, index)
  local codes = batch.intents[INTENT_CODES][i]
  return string.sub(codes, SECRET_BYTES * index + 1, SECRET_BYTES * (index + 1))
end

-- Appends one draw of intent i to the ledger's entry and to what is answered, a winner's code
-- beside it.
local function append(pool, batch, i, index, user, prize_id, ticket, weight, total)
  local intents, drawn = batch.intents, batch.drawn
  local place = batch.count + 1
  pool.seq, batch.count = pool.seq + 1, place
  batch.draws[place] = {
    intents[INTENT_USER_ID][i], intents[INTENT_REQUEST_ID][i], index, intents[INTENT_DRAWS][i],
    user[USER_DRAWS], prize_id, ticket, weight, total,
  }
  drawn[DRAWN_PRIZE_ID][place], drawn[DRAWN_TICKET][place] = prize_id, ticket
  drawn[DRAWN_WEIGHT][place], drawn[DRAWN_TOTAL][place] = weight, total
  if prize_id > 0 then
    local codes = drawn[DRAWN_CODE_BYTES]
    codes[#codes + 1] = code_bytes(batch, i, index)
  end
end

-- Prize id (0: a miss), ticket, weight, total.
local function draw_one(pool, user, roll)
  local weights, sum = weights_for(pool, user)
  local total = pool.config[CONFIG_MODE] == MODE_ODDS and PPB or sum
  local ticket = uniform(roll, total)
  local i = pick(weights, ticket)
  if not i then return 0, ticket, total - sum, total end
  local prize, weight = pool.config[CONFIG_PRIZES][i], weights[i]
  take(pool, i)
  note_win(user, prize)
  return prize[PRIZE_ID], ticket, weight, total
end

-- The last prize goes with the last ticket, once.
local function draw_last_prize(pool, user)
  local i = pool.last_prize
  if not i or pool.weight_sum > 0 or (pool.left[i] or 0) == 0 then return nil end
  local prize = pool.config[CONFIG_PRIZES][i]
  take(pool, i)
  note_win(user, prize)
  return prize[PRIZE_ID], 0, 1, 1
end

local function draw_all(pool, batch, i, user, now_ms)
  local intents, first_seq = batch.intents, pool.seq + 1
  local user_id, digest = intents[INTENT_USER_ID][i], intents[INTENT_DIGEST][i]
  local rolls, count = intents[INTENT_ROLLS][i], intents[INTENT_DRAWS][i]
  local order = intents[INTENT_ORDER][i]
  for k = 1, count do
    local roll = rolls
    if count > 1 then roll = string.sub(rolls, ROLL_BYTES * (k - 1) + 1, ROLL_BYTES * k) end
    local prize_id, ticket, weight, total = draw_one(pool, user, roll)
    note_draw(pool.config, user, now_ms)
    append(pool, batch, i, k - 1, user, prize_id, ticket, weight, total)
  end
  local extra, ticket, weight, total = draw_last_prize(pool, user)
  if extra then append(pool, batch, i, count, user, extra, ticket, weight, total) end
  local places = pool.seq + 1 - first_seq
  local request = { first_seq, places, count }
  if order ~= '' then batch.orders[#batch.orders + 1] = order end
  batch.requests[digest] = request
  batch.fresh[#batch.fresh + 1], batch.drew[#batch.drew + 1] = digest, user_id
  pool.state[STATE_LAST_USER], pool.state[STATE_LAST_MS] = user_id, now_ms
  return CODE_DRAWN, first_seq, places, allowance(pool.config, user, now_ms)
end
