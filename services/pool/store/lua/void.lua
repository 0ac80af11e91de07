#!lua
--[[ void: make a request id draw nothing, unless it has drawn. What is still under way with it
then finds it void, so whoever asked may take it for not done.
KEYS[1] hash    {p:<id>}:state     without seq, the pool is not there
KEYS[2] hash    {p:<id>}:req:0     request digest -> MessagePack, see layout.py
KEYS[3] hash    {p:<id>}:req:1     likewise, of the other day
ARGV[1] bytes   request digest
ARGV[2] int     draws that it asked for
ARGV[3] bytes   what the caller knows, see include/guard.lua
Returns MessagePack {first seq, places, the pool's clock, us}: what it drew; {0, 0, ...}: it is void
  from now on; {-1, 0, 0}: the pool is not loaded; {-12, 0, 0}: this server's clock is off.
O(1). One slot. ]]
--@layout
--@include guard
--@include requests
local state = state_of(KEY_STATE)
if not state[STATE_SEQ] or is_behind(state) then
  return cmsgpack.pack({ CODE_NOT_LOADED, 0, 0 })
end
local now_us = next_us(state)
if not now_us then return cmsgpack.pack({ CODE_CLOCK_OFF, 0, 0 }) end
local requests = turn_requests(state, { KEY_REQ_0, KEY_REQ_1 }, ms_of(now_us))
local request = known_requests({ ARGV[1] }, requests)[ARGV[1]]
if request then
  local first_seq, places = request[REQUEST_FIRST_SEQ], request[REQUEST_PLACES]
  return cmsgpack.pack({ first_seq, places, newest_us(state) })
end
note_requests(requests, { ARGV[1], cmsgpack.pack({ 0, 0, tonumber(ARGV[2]) }) })
redis.call('HSET', KEY_STATE, STATE_REQ_DAY, state[STATE_REQ_DAY],
  STATE_REQ_HALF, state[STATE_REQ_HALF], STATE_CLOCK_US, us_text(now_us))
return cmsgpack.pack({ 0, 0, now_us })
