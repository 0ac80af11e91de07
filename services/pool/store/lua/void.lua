#!lua
--[[ void: make a request id draw nothing, unless it has drawn. What is still under way with it
then finds it void, so whoever asked may take it for not done.
KEYS[1] hash    {p:<id>}:state     req_day is moved on; without seq, the pool is not there
KEYS[2] hash    {p:<id>}:req:0     request digest -> MessagePack, see layout.py
KEYS[3] hash    {p:<id>}:req:1     likewise, of the other day
ARGV[1] bytes   request digest
ARGV[2] int     draws that it asked for
Returns MessagePack {first seq, places}: what it drew; {0, 0}: it is void from now on;
  {-1, 0}: the pool is not loaded.
O(1). One slot. ]]
--@layout
--@include clock
--@include requests
local state = {}
state[STATE_SEQ], state[STATE_REQ_DAY] =
  unpack(redis.call('HMGET', KEY_STATE, STATE_SEQ, STATE_REQ_DAY))
if not state[STATE_SEQ] then return cmsgpack.pack({ CODE_NOT_LOADED, 0 }) end
local now_ms = clock_ms()
local current, previous = turn_requests(state, { KEY_REQ_0, KEY_REQ_1 }, now_ms)
local request = known_requests({ ARGV[1] }, current, previous)[ARGV[1]]
if request then return cmsgpack.pack({ request[REQUEST_FIRST_SEQ], request[REQUEST_PLACES] }) end
redis.call('HSET', current, ARGV[1], cmsgpack.pack({ 0, 0, tonumber(ARGV[2]) }))
redis.call('HSET', KEY_STATE, STATE_REQ_DAY, state[STATE_REQ_DAY])
return cmsgpack.pack({ 0, 0 })
