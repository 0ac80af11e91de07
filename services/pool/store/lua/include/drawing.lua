-- drawing: what one allowed intent draws.

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
