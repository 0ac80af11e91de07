-- units: how many units of each prize a new configuration leaves.

-- prize id -> units in all, as the configuration *before* has them.
local function units_of(before)
  local units = {}
  for _, list in ipairs({ before[CONFIG_PRIZES], before[CONFIG_RETIRED_PRIZES] }) do
    for _, prize in ipairs(list) do units[prize[PRIZE_ID]] = prize[PRIZE_UNITS] end
  end
  return units
end

local function left_of(prize)
  return tonumber(redis.call('HGET', KEY_STOCK, prize[PRIZE_ID]) or 0)
end

-- Units left of a live prize (nil: unlimited), and why it may not be so.
local function moved(prize, units_before)
  local units, wanted = units_before[prize[PRIZE_ID]], prize[PRIZE_UNITS]
  if units and (units < 0) ~= (wanted < 0) then
    return nil, { CONFIGURE_PRIZE_CHANGED, prize[PRIZE_ID] }
  end
  if wanted < 0 then return nil end
  local left = left_of(prize) + wanted - (units or 0)
  if left < 0 then return nil, { CONFIGURE_UNITS_BELOW_WON, prize[PRIZE_ID], wanted - left } end
  return left
end

-- {prize id, units, units left (-1: unlimited)} of each prize, and the same for the stock's hash:
-- finite ones, flat; or nil and the refusal. Units of retired prizes become what is won.
local function move_units(config, before)
  local stocks, stock, units_before = {}, {}, units_of(before)
  local function note(prize, left)
    units_before[prize[PRIZE_ID]] = nil
    stocks[#stocks + 1] = { prize[PRIZE_ID], prize[PRIZE_UNITS], left or UNLIMITED }
    if left then
      stock[#stock + 1] = prize[PRIZE_ID]
      stock[#stock + 1] = left
    end
  end
  for _, prize in ipairs(config[CONFIG_PRIZES]) do
    local left, refusal = moved(prize, units_before)
    if refusal then return nil, refusal end
    note(prize, left)
  end
  for _, prize in ipairs(config[CONFIG_RETIRED_PRIZES]) do
    local units = units_before[prize[PRIZE_ID]] or 0
    prize[PRIZE_UNITS] = units - left_of(prize)
    note(prize, units >= 0 and 0 or nil)
  end
  -- One that was retired has no part in draws any more, and may be left out.
  for _, prize in ipairs(before[CONFIG_PRIZES]) do
    local id = prize[PRIZE_ID]
    if units_before[id] then return nil, { CONFIGURE_PRIZE_CHANGED, id } end
  end
  return stocks, stock
end
