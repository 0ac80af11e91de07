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

-- The bytes of an intent's prize code number index; from 0.
local function code_bytes(intent, index)
  return string.sub(intent[INTENT_CODES], SECRET_BYTES * index + 1, SECRET_BYTES * (index + 1))
end

-- Appends one draw to the ledger's entry, a winner's code beside it; returns it as answered.
local function append(pool, batch, intent, index, user, drawn)
  pool.seq = pool.seq + 1
  batch.draws[#batch.draws + 1] = {
    intent[INTENT_USER_ID], intent[INTENT_REQUEST_ID], index, intent[INTENT_DRAWS],
    user[USER_DRAWS], unpack(drawn, 1, DRAWN_TOTAL),
  }
  if drawn[DRAWN_PRIZE_ID] > 0 then batch.codes[#batch.codes + 1] = drawn[DRAWN_CODE_BYTES] end
  return drawn
end

local function draw_one(pool, user, roll, code)
  local weights, sum = weights_for(pool, user)
  local total = pool.config[CONFIG_MODE] == MODE_ODDS and PPB or sum
  local ticket = uniform(roll, total)
  local i = pick(weights, ticket)
  if not i then return nil, { 0, ticket, total - sum, total, '' } end
  local prize, weight = pool.config[CONFIG_PRIZES][i], weights[i]
  take(pool, i)
  note_win(user, prize)
  return i, { prize[PRIZE_ID], ticket, weight, total, code }
end

-- The last prize goes with the last ticket, once.
local function draw_last_prize(pool, user, code)
  local i = pool.last_prize
  if not i or pool.weight_sum > 0 or (pool.left[i] or 0) == 0 then return nil end
  local prize = pool.config[CONFIG_PRIZES][i]
  take(pool, i)
  note_win(user, prize)
  return { prize[PRIZE_ID], 0, 1, 1, code }
end

local function draw_all(pool, batch, intent, user, now_ms)
  local drawn, first_seq = {}, pool.seq + 1
  local user_id, digest, count = intent[INTENT_USER_ID], intent[INTENT_DIGEST], intent[INTENT_DRAWS]
  for k = 1, count do
    local roll = string.sub(intent[INTENT_ROLLS], ROLL_BYTES * (k - 1) + 1, ROLL_BYTES * k)
    local _, outcome = draw_one(pool, user, roll, code_bytes(intent, k - 1))
    note_draw(pool.config, user, now_ms)
    drawn[k] = append(pool, batch, intent, k - 1, user, outcome)
  end
  local extra = draw_last_prize(pool, user, code_bytes(intent, count))
  if extra then drawn[#drawn + 1] = append(pool, batch, intent, count, user, extra) end
  local request = { first_seq, #drawn, count }
  if intent[INTENT_ORDER] ~= '' then batch.orders[#batch.orders + 1] = intent[INTENT_ORDER] end
  batch.fresh[digest], batch.requests[digest], batch.drew[user_id] = request, request, true
  pool.state[STATE_LAST_USER], pool.state[STATE_LAST_MS] = user_id, now_ms
  local left, next_ms = allowance(pool.config, user, now_ms)
  return { CODE_DRAWN, first_seq, left, next_ms, drawn }
end
