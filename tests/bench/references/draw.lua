--[[ reference B: one draw, atomically.
KEYS[1] hash   an activity: status, start_ms, end_ms, max_user, max_day; ids, weights and
               names in MessagePack
KEYS[2] hash   its units: prize id -> left
KEYS[3] hash   its users: user id -> draws, "day:user id" -> draws of the day
KEYS[4] string number of the last draw
ARGV[1] user id
ARGV[2] ticket, 0 ... 10^9 - 1
ARGV[3] day, YYYY-MM-DD
ARGV[4] now, milliseconds
Returns {code, draw number, prize id or 0}: 1 drawn, -1 not ongoing, -2 a limit is reached. ]]
local activity = redis.call(
  'HMGET', KEYS[1], 'status', 'start_ms', 'end_ms', 'max_user', 'max_day', 'ids', 'weights')
local now = tonumber(ARGV[4])
if activity[1] ~= 'ongoing' or now < tonumber(activity[2]) or now >= tonumber(activity[3]) then
  return {-1, 0, 0}
end
local day = ARGV[3] .. ':' .. ARGV[1]
local drawn = redis.call('HMGET', KEYS[3], ARGV[1], day)
local left = tonumber(activity[4]) - tonumber(drawn[1] or 0)
if left <= 0 or tonumber(drawn[2] or 0) >= tonumber(activity[5]) then
  return {-2, 0, 0}
end
redis.call('HINCRBY', KEYS[3], ARGV[1], 1)
redis.call('HINCRBY', KEYS[3], day, 1)
local ids, weights = cmsgpack.unpack(activity[6]), cmsgpack.unpack(activity[7])
local ticket, prize = tonumber(ARGV[2]), 0
for i, weight in ipairs(weights) do
  if ticket < weight then
    if tonumber(redis.call('HGET', KEYS[2], ids[i])) > 0 then
      prize = ids[i]
      redis.call('HINCRBY', KEYS[2], prize, -1)
    end
    break
  end
  ticket = ticket - weight
end
return {1, redis.call('INCR', KEYS[4]), prize}
