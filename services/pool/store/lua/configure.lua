#!lua
--[[ configure: make a pool's configuration equal to the one given, between two draws.
KEYS[1] string  {p:<id>}:config    written, with the units that result
KEYS[2] hash    {p:<id>}:state     version compared and set; seq created as 0; chain moved on
KEYS[3] hash    {p:<id>}:stock     units left, moved by the change of units
KEYS[4] string  {p:<id>}:document  written
KEYS[5] stream  {p:<id>}:ledger    the change is appended
ARGV[1] int     version expected; 0: the pool is not there yet
ARGV[2] int     new version, above it
ARGV[3] bytes   MessagePack configuration, see include/layout.lua
ARGV[4] bytes   the same as JSON
Returns MessagePack:
  {1 CONFIGURED, seq, list of {prize id, units, units left}}; -1: unlimited
  {-1 CONFLICT, live version} | {-2 UNITS_BELOW_WON, prize id, won} |
  {-3 PRIZE_CHANGED, prize id}: it is missing, or turned from finite to unlimited or back |
  {-4 ENDED, 0}: an ended pool stays ended, since its seed may be known
O(prizes). One slot. Nothing is written unless 1 is returned. ]]
--@include layout
--@include chain
local config = cmsgpack.unpack(ARGV[3])
local live = redis.call('HGET', KEYS[2], 'version') or '0'
if live ~= ARGV[1] or tonumber(ARGV[2]) <= tonumber(live) then
  return cmsgpack.pack({ -1, tonumber(live) })
end
local packed, units_before = redis.call('GET', KEYS[1]), {}
local before = packed and cmsgpack.unpack(packed) or { [PRIZES] = {}, [RETIRED_PRIZES] = {} }
for _, list in ipairs({ before[PRIZES], before[RETIRED_PRIZES] }) do
  for _, prize in ipairs(list) do units_before[prize[ID]] = prize[UNITS] end
end

if before[STATUS] == ENDED and config[STATUS] ~= ENDED then return cmsgpack.pack({ -4, 0 }) end

local stocks, stock, known = {}, {}, {}
local function note(prize, left)
  known[prize[ID]] = true
  stocks[#stocks + 1] = { prize[ID], prize[UNITS], left or -1 }
  if left then
    stock[#stock + 1] = prize[ID]
    stock[#stock + 1] = left
  end
end

for _, prize in ipairs(config[PRIZES]) do
  local units = units_before[prize[ID]]
  if units and (units < 0) ~= (prize[UNITS] < 0) then return cmsgpack.pack({ -3, prize[ID] }) end
  local left = nil
  if prize[UNITS] >= 0 then
    local left_before = tonumber(redis.call('HGET', KEYS[3], prize[ID]) or 0)
    left = left_before + prize[UNITS] - (units or 0)
    if left < 0 then return cmsgpack.pack({ -2, prize[ID], prize[UNITS] - left }) end
  end
  note(prize, left)
end
for _, prize in ipairs(config[RETIRED_PRIZES]) do
  local units = units_before[prize[ID]] or 0
  prize[UNITS] = units - tonumber(redis.call('HGET', KEYS[3], prize[ID]) or 0)
  note(prize, units >= 0 and 0 or nil)
end
for id in pairs(units_before) do
  if not known[id] then return cmsgpack.pack({ -3, id }) end
end

local time = redis.call('TIME')
local now_ms = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
local seq = redis.call('HGET', KEYS[2], 'seq') or '0'
local id, units = seq .. '-' .. ARGV[2], cmsgpack.pack(stocks)
local chain = link(redis.call('HGET', KEYS[2], 'chain') or '', id, ARGV[4] .. units .. now_ms)
redis.call('SET', KEYS[1], cmsgpack.pack(config))
redis.call('SET', KEYS[4], ARGV[4])
redis.call('HSET', KEYS[2], 'seq', seq, 'version', ARGV[2], 'chain', chain)
redis.call('DEL', KEYS[3])
if #stock > 0 then redis.call('HSET', KEYS[3], unpack(stock)) end
redis.call('XADD', KEYS[5], id, 'c', ARGV[4], 'u', units, 't', now_ms, 'h', chain)
return cmsgpack.pack({ 1, tonumber(seq), stocks })
