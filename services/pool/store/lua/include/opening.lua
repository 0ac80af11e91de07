--[[ opening: whether a pool draws, and since when. Time opens it, at its start, or a configuration;
what tickets were issued in one opening is worth nothing in the next. ]]

local function status_of(config, now_ms)
  local status, end_ms = config[CONFIG_STATUS], config[CONFIG_END_MS]
  if status == STATUS_ENDED or (end_ms > 0 and now_ms >= end_ms) then return STATUS_ENDED end
  if status == STATUS_PAUSED then return STATUS_PAUSED end
  if now_ms < config[CONFIG_START_MS] then return STATUS_PLANNED end
  return STATUS_OPEN
end

-- When it last came to draw, or is going to, Unix ms.
local function opening_ms(config, state)
  return math.max(tonumber(state[STATE_OPENED_MS] or 0), config[CONFIG_START_MS])
end

-- STATE_OPENED_MS after a change of `before`, at now_ms: a pool that draws goes on; any other one
-- is opened anew, now or at its start.
local function opened_ms_after(before, state, now_ms)
  if before[CONFIG_STATUS] and status_of(before, now_ms) == STATUS_OPEN then
    return state[STATE_OPENED_MS] or 0
  end
  return string.format('%d', now_ms)
end
