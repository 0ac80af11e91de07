#!lua flags=no-writes
--[[ opening: what draw tickets are made of, at this moment.
KEYS[1] string  {p:<id>}:config    MessagePack, see layout.py
KEYS[2] hash    {p:<id>}:state     see StateField in layout.py
ARGV[1] bytes   what the caller knows, see include/guard.lua
Returns MessagePack {now_ms, status, opening, Unix ms, 1: a ticket is required, bits of its puzzle,
  ms that the first draws are spread over}; {-1, 0}: the pool is not loaded; {-12, 0}: this server's
  clock is off.
O(prizes). One slot. Nothing is written. ]]
--@layout
--@include guard
--@include opening
local state, packed = state_of(KEY_STATE), redis.call('GET', KEY_CONFIG)
if not packed or is_behind(state) then return cmsgpack.pack({ CODE_NOT_LOADED, 0 }) end
local now_us, config = next_us(state), cmsgpack.unpack(packed)
if not now_us then return cmsgpack.pack({ CODE_CLOCK_OFF, 0 }) end
local now_ms = ms_of(now_us)
return cmsgpack.pack({ now_ms, status_of(config, now_ms), opening_ms(config, state),
  config[CONFIG_TICKET_REQUIRED] and 1 or 0, config[CONFIG_TICKET_DIFFICULTY] or 0,
  config[CONFIG_TICKET_SPREAD_MS] or 0 })
