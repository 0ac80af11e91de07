--[[ users: what the limits know of a user, see layout.py. A user's day only goes forward: a clock
that is put back at midnight, or a time zone set back, gives no day twice. ]]

local function unpack_user(packed)
  if packed then return cmsgpack.unpack(packed) end
  return { 0, 0, 0, 0, 0, {} }
end

-- Wins that the user may still have of prize `i`; math.huge: no limit.
local function wins_left_of(prize, user)
  local limit = prize[PRIZE_WINS_PER_USER]
  if limit == 0 then return math.huge end
  return limit - (user[USER_WINS_OF][string.format('%d', prize[PRIZE_ID])] or 0)
end

local function today(config, user, now_ms)
  return math.max(user[USER_DAY], math.floor((now_ms + config[CONFIG_DAY_OFFSET_MS]) / DAY_MS))
end

-- Draws left (−1: no quota) and the earliest ms of the next draw (0: at once): the next day where
-- the day's quota is spent; where the one in all is, there is none.
local function allowance(config, user, now_ms)
  local left = math.huge
  local next_ms = user[USER_LAST_MS] > 0 and user[USER_LAST_MS] + config[CONFIG_COOLDOWN_MS] or 0
  local per_user, per_day = config[CONFIG_DRAWS_PER_USER], config[CONFIG_DRAWS_PER_DAY]
  if per_user > 0 then left = per_user - user[USER_DRAWS] end
  if left <= 0 then return 0, 0 end
  if per_day > 0 then
    local day = today(config, user, now_ms)
    local left_today = per_day - (user[USER_DAY] == day and user[USER_DAY_DRAWS] or 0)
    if left_today <= 0 then
      next_ms = math.max(next_ms, (day + 1) * DAY_MS - config[CONFIG_DAY_OFFSET_MS])
    end
    left = math.min(left, left_today)
  end
  return left == math.huge and UNLIMITED or math.max(left, 0), next_ms > now_ms and next_ms or 0
end

-- Nil when the user may draw `count` now; else why not, and the number that goes with it.
local function limit_reached(config, user, count, now_ms)
  local per_user, per_day = config[CONFIG_DRAWS_PER_USER], config[CONFIG_DRAWS_PER_DAY]
  if per_user > 0 and user[USER_DRAWS] + count > per_user then
    return CODE_QUOTA_SPENT, QUOTA_DRAWS_PER_USER
  end
  if per_day > 0 then
    local used = user[USER_DAY] == today(config, user, now_ms) and user[USER_DAY_DRAWS] or 0
    if used + count > per_day then return CODE_QUOTA_SPENT, QUOTA_DRAWS_PER_DAY end
  end
  local wins, limit = config[CONFIG_MODE] == MODE_ODDS and 1 or count, config[CONFIG_WINS_PER_USER]
  if limit > 0 and user[USER_WINS] + wins > limit then
    return CODE_QUOTA_SPENT, QUOTA_WINS_PER_USER
  end
  local wait_ms = user[USER_LAST_MS] + config[CONFIG_COOLDOWN_MS] - now_ms
  if user[USER_LAST_MS] > 0 and config[CONFIG_COOLDOWN_MS] > 0 and wait_ms > 0 then
    return CODE_COOLDOWN, wait_ms
  end
  return nil
end

local function note_draw(config, user, now_ms)
  local day = today(config, user, now_ms)
  if day > user[USER_DAY] then user[USER_DAY], user[USER_DAY_DRAWS] = day, 0 end
  user[USER_LAST_MS] = now_ms
  user[USER_DRAWS], user[USER_DAY_DRAWS] = user[USER_DRAWS] + 1, user[USER_DAY_DRAWS] + 1
end

local function note_win(user, prize)
  local key = string.format('%d', prize[PRIZE_ID])
  user[USER_WINS] = user[USER_WINS] + 1
  user[USER_WINS_OF][key] = (user[USER_WINS_OF][key] or 0) + 1
end
