#!lua
--[[ void: make a request id draw nothing, unless it has drawn. What is still under way with it
then finds it void, so whoever asked may take it for not done.
KEYS[1] hash    {p:<id>}:state     req_day is moved on; without seq, the pool is not there
KEYS[2] hash    {p:<id>}:req:0     request digest -> MessagePack, see include/requests.lua
KEYS[3] hash    {p:<id>}:req:1     likewise, of the other day
ARGV[1] bytes   request digest
ARGV[2] int     draws that it asked for
Returns MessagePack {first seq, places}: what it drew; {0, 0}: it is void from now on;
  {-1, 0}: the pool is not loaded.
O(1). One slot. ]]
--@include requests
local state = {}
state.seq, state.req_day = unpack(redis.call('HMGET', KEYS[1], 'seq', 'req_day'))
if not state.seq then return cmsgpack.pack({ -1, 0 }) end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local current, previous = turn_requests(state, { KEYS[2], KEYS[3] }, now_ms)
local request = known_requests({ ARGV[1] }, current, previous)[ARGV[1]]
if request then return cmsgpack.pack({ request[1], request[2] }) end
redis.call('HSET', current, ARGV[1], cmsgpack.pack({ 0, 0, tonumber(ARGV[2]) }))
redis.call('HSET', KEYS[1], 'req_day', state.req_day)
return cmsgpack.pack({ 0, 0 })
