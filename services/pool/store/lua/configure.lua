#!lua
--[[ configure: make a pool's configuration equal to the one given, between two draws.
KEYS[1] string  {p:<id>}:config    written, with the units that result
KEYS[2] hash    {p:<id>}:state     version compared and set; seq created as 0; chain and
                                   clock moved on; opened_ms set where this opens the pool
KEYS[3] hash    {p:<id>}:stock     units left, moved by the change of units
KEYS[4] string  {p:<id>}:document  written
KEYS[5] stream  {p:<id>}:ledger    the change is appended
ARGV[1] int     version expected; 0: the pool is not there yet
ARGV[2] int     new version, above it
ARGV[3] bytes   MessagePack configuration, see layout.py
ARGV[4] bytes   the same as JSON
ARGV[5] bytes   what the caller knows, see include/guard.lua
Returns MessagePack:
  {1 CONFIGURED, seq, list of {prize id, units, units left}, clock, us}; -1: unlimited
  {-1 CONFLICT, live version} | {-2 UNITS_BELOW_WON, prize id, won} |
  {-3 PRIZE_CHANGED, prize id}: it is missing, or turned from finite to unlimited or back |
  {-4 ENDED, 0}: an ended pool stays ended, since its seed may be known |
  {-5 NOT_LOADED, 0} | {-6 CLOCK_OFF, 0}: this server's clock jumped
O(prizes). One slot. Nothing is written unless 1 is returned. ]]
--@layout
--@include guard
--@include chain
--@include units
--@include opening
local config, state = cmsgpack.unpack(ARGV[3]), state_of(KEY_STATE)
if is_behind(state) then return cmsgpack.pack({ CONFIGURE_NOT_LOADED, 0 }) end
local now_us, live = next_us(state), state[STATE_VERSION] or '0'
if not now_us then return cmsgpack.pack({ CONFIGURE_CLOCK_OFF, 0 }) end
if live ~= ARGV[1] or tonumber(ARGV[2]) <= tonumber(live) then
  return cmsgpack.pack({ CONFIGURE_CONFLICT, tonumber(live) })
end
local packed = redis.call('GET', KEY_CONFIG)
local nothing = { [CONFIG_PRIZES] = {}, [CONFIG_RETIRED_PRIZES] = {} }
local before = packed and cmsgpack.unpack(packed) or nothing
if before[CONFIG_STATUS] == STATUS_ENDED and config[CONFIG_STATUS] ~= STATUS_ENDED then
  return cmsgpack.pack({ CONFIGURE_ENDED, 0 })
end
local stocks, stock = move_units(config, before)
if not stocks then return cmsgpack.pack(stock) end

local now_ms, seq = string.format('%d', ms_of(now_us)), state[STATE_SEQ] or '0'
local id, units = seq .. '-' .. ARGV[2], cmsgpack.pack(stocks)
local chain = link(state[STATE_CHAIN], id, ARGV[4] .. units .. now_ms)
redis.call('SET', KEY_CONFIG, cmsgpack.pack(config))
redis.call('SET', KEY_DOCUMENT, ARGV[4])
redis.call('HSET', KEY_STATE, STATE_SEQ, seq, STATE_VERSION, ARGV[2], STATE_CHAIN, chain,
  STATE_CLOCK_US, us_text(now_us), STATE_LATE, 0,
  STATE_OPENED_MS, opened_ms_after(before, state, ms_of(now_us)))
redis.call('DEL', KEY_STOCK)
for at = 1, #stock, 1000 do  -- unpack takes some thousands at most
  redis.call('HSET', KEY_STOCK, unpack(stock, at, math.min(at + 999, #stock)))
end
redis.call('XADD', KEY_LEDGER, id, ENTRY_CONFIG, ARGV[4], ENTRY_UNITS, units,
  ENTRY_TIME, now_ms, ENTRY_LINK, chain)
return cmsgpack.pack({ CONFIGURE_CONFIGURED, tonumber(seq), stocks, now_us })
