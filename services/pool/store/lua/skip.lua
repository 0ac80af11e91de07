#!lua
--[[ skip: let the next draw come after draw ids that may have been given by a run of the store
that is over.
KEYS[1] hash    {p:<id>}:state     seq is raised; how many are skipped, and where, for the backlog
KEYS[2] string  {p:<id>}:recorded  newest seq in Postgres
ARGV[1] int     the newest of these ids
ARGV[2] bytes   what the caller knows, see include/guard.lua
Returns 1: the next draw comes after it; 0: the pool is not there, or older than what is known, and
  stays so; -1: this server's clock is off.
O(1). One slot. ]]
--@layout
--@include guard
--@include backlog
local state, base = state_of(KEY_STATE), tonumber(ARGV[1])
if not state[STATE_SEQ] or is_behind(state) then return 0 end
local seq, now_us = tonumber(state[STATE_SEQ]), next_us(state)
if seq >= base then return 1 end
if not now_us then return -1 end
redis.call('HSET', KEY_STATE, STATE_SEQ, ARGV[1], STATE_SKIPPED_TO, ARGV[1],
  STATE_SKIPPED, base - seq + skipped(state), STATE_CLOCK_US, us_text(now_us))
return 1
