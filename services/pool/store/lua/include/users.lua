--[[ users: what the limits know of a user:
{last_ms, draws, day, draws of the day, wins, {prize id as string: wins}}. A user's day only goes
forward: a clock that is put back at midnight, or a time zone set back, gives no day twice. ]]
local LAST_MS, DRAWS, DAY, DAY_DRAWS, WINS, WINS_OF = 1, 2, 3, 4, 5, 6

local function unpack_user(packed)
  if packed then return cmsgpack.unpack(packed) end
  return { 0, 0, 0, 0, 0, {} }
end

-- Wins that the user may still have of prize `i`; math.huge: no limit.
local function wins_left_of(prize, user)
  local limit = prize[PRIZE_WINS]
  if limit == 0 then return math.huge end
  return limit - (user[WINS_OF][string.format('%d', prize[ID])] or 0)
end

local function today(config, user, now_ms)
  return math.max(user[DAY], math.floor((now_ms + config[DAY_OFFSET_MS]) / 86400000))
end

-- Draws left (−1: no quota) and the earliest ms of the next draw (0: at once): the next day where
-- the day's quota is spent; where the one in all is, there is none.
local function allowance(config, user, now_ms)
  local left = math.huge
  local next_ms = user[LAST_MS] > 0 and user[LAST_MS] + config[COOLDOWN_MS] or 0
  if config[DRAWS_PER_USER] > 0 then left = config[DRAWS_PER_USER] - user[DRAWS] end
  if left <= 0 then return 0, 0 end
  if config[DRAWS_PER_DAY] > 0 then
    local day = today(config, user, now_ms)
    local left_today = config[DRAWS_PER_DAY] - (user[DAY] == day and user[DAY_DRAWS] or 0)
    if left_today <= 0 then
      next_ms = math.max(next_ms, (day + 1) * 86400000 - config[DAY_OFFSET_MS])
    end
    left = math.min(left, left_today)
  end
  return left == math.huge and -1 or math.max(left, 0), next_ms > now_ms and next_ms or 0
end

-- Nil when the user may draw `count` now; else a refusal.
local function refusal_of(config, user, count, now_ms)
  if config[DRAWS_PER_USER] > 0 and user[DRAWS] + count > config[DRAWS_PER_USER] then
    return { QUOTA_SPENT, 1 }
  end
  local used = user[DAY] == today(config, user, now_ms) and user[DAY_DRAWS] or 0
  if config[DRAWS_PER_DAY] > 0 and used + count > config[DRAWS_PER_DAY] then
    return { QUOTA_SPENT, 2 }
  end
  local wins = config[MODE] == ODDS and 1 or count
  if config[WINS_PER_USER] > 0 and user[WINS] + wins > config[WINS_PER_USER] then
    return { QUOTA_SPENT, 3 }
  end
  local wait_ms = user[LAST_MS] + config[COOLDOWN_MS] - now_ms
  if user[LAST_MS] > 0 and config[COOLDOWN_MS] > 0 and wait_ms > 0 then
    return { COOLDOWN, wait_ms }
  end
  return nil
end

local function note_draw(config, user, now_ms)
  local day = today(config, user, now_ms)
  if day > user[DAY] then user[DAY], user[DAY_DRAWS] = day, 0 end
  user[LAST_MS], user[DRAWS], user[DAY_DRAWS] = now_ms, user[DRAWS] + 1, user[DAY_DRAWS] + 1
end

local function note_win(user, prize)
  local key = string.format('%d', prize[ID])
  user[WINS] = user[WINS] + 1
  user[WINS_OF][key] = (user[WINS_OF][key] or 0) + 1
end
