#!lua
--[[ configure: make a pool's configuration equal to the one given, between two draws.
KEYS[1] string  {p:<id>}:config    written, with the units that result
KEYS[2] hash    {p:<id>}:state     version compared and set; seq created as 0; chain moved on
KEYS[3] hash    {p:<id>}:stock     units left, moved by the change of units
KEYS[4] string  {p:<id>}:document  written
KEYS[5] stream  {p:<id>}:ledger    the change is appended
ARGV[1] int     version expected; 0: the pool is not there yet
ARGV[2] int     new version, above it
ARGV[3] bytes   MessagePack configuration, see layout.py
ARGV[4] bytes   the same as JSON
Returns MessagePack:
  {1 CONFIGURED, seq, list of {prize id, units, units left}}; -1: unlimited
  {-1 CONFLICT, live version} | {-2 UNITS_BELOW_WON, prize id, won} |
  {-3 PRIZE_CHANGED, prize id}: it is missing, or turned from finite to unlimited or back |
  {-4 ENDED, 0}: an ended pool stays ended, since its seed may be known
O(prizes). One slot. Nothing is written unless 1 is returned. ]]
--@layout
--@include clock
--@include chain
local config = cmsgpack.unpack(ARGV[3])
local live = redis.call('HGET', KEY_STATE, STATE_VERSION) or '0'
if live ~= ARGV[1] or tonumber(ARGV[2]) <= tonumber(live) then
  return cmsgpack.pack({ CONFIGURE_CONFLICT, tonumber(live) })
end
local packed, units_before = redis.call('GET', KEY_CONFIG), {}
local nothing = { [CONFIG_PRIZES] = {}, [CONFIG_RETIRED_PRIZES] = {} }
local before = packed and cmsgpack.unpack(packed) or nothing
for _, list in ipairs({ before[CONFIG_PRIZES], before[CONFIG_RETIRED_PRIZES] }) do
  for _, prize in ipairs(list) do units_before[prize[PRIZE_ID]] = prize[PRIZE_UNITS] end
end

if before[CONFIG_STATUS] == STATUS_ENDED and config[CONFIG_STATUS] ~= STATUS_ENDED then
  return cmsgpack.pack({ CONFIGURE_ENDED, 0 })
end

local stocks, stock, known = {}, {}, {}
local function note(prize, left)
  known[prize[PRIZE_ID]] = true
  stocks[#stocks + 1] = { prize[PRIZE_ID], prize[PRIZE_UNITS], left or UNLIMITED }
  if left then
    stock[#stock + 1] = prize[PRIZE_ID]
    stock[#stock + 1] = left
  end
end

for _, prize in ipairs(config[CONFIG_PRIZES]) do
  local units = units_before[prize[PRIZE_ID]]
  if units and (units < 0) ~= (prize[PRIZE_UNITS] < 0) then
    return cmsgpack.pack({ CONFIGURE_PRIZE_CHANGED, prize[PRIZE_ID] })
  end
  local left = nil
  if prize[PRIZE_UNITS] >= 0 then
    local left_before = tonumber(redis.call('HGET', KEY_STOCK, prize[PRIZE_ID]) or 0)
    left = left_before + prize[PRIZE_UNITS] - (units or 0)
    if left < 0 then
      local won = prize[PRIZE_UNITS] - left
      return cmsgpack.pack({ CONFIGURE_UNITS_BELOW_WON, prize[PRIZE_ID], won })
    end
  end
  note(prize, left)
end
for _, prize in ipairs(config[CONFIG_RETIRED_PRIZES]) do
  local units = units_before[prize[PRIZE_ID]] or 0
  prize[PRIZE_UNITS] = units - tonumber(redis.call('HGET', KEY_STOCK, prize[PRIZE_ID]) or 0)
  note(prize, units >= 0 and 0 or nil)
end
for id in pairs(units_before) do
  if not known[id] then return cmsgpack.pack({ CONFIGURE_PRIZE_CHANGED, id }) end
end

local now_ms = string.format('%d', clock_ms())
local seq = redis.call('HGET', KEY_STATE, STATE_SEQ) or '0'
local id, units = seq .. '-' .. ARGV[2], cmsgpack.pack(stocks)
local chain = link(redis.call('HGET', KEY_STATE, STATE_CHAIN) or '', id, ARGV[4] .. units .. now_ms)
redis.call('SET', KEY_CONFIG, cmsgpack.pack(config))
redis.call('SET', KEY_DOCUMENT, ARGV[4])
redis.call('HSET', KEY_STATE, STATE_SEQ, seq, STATE_VERSION, ARGV[2], STATE_CHAIN, chain)
redis.call('DEL', KEY_STOCK)
if #stock > 0 then redis.call('HSET', KEY_STOCK, unpack(stock)) end
redis.call('XADD', KEY_LEDGER, id, ENTRY_CONFIG, ARGV[4], ENTRY_UNITS, units,
  ENTRY_TIME, now_ms, ENTRY_LINK, chain)
return cmsgpack.pack({ CONFIGURE_CONFIGURED, tonumber(seq), stocks })
