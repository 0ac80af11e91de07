-- backlog: how many draws wait for the recorder.

local function recorded_seq()
  return tonumber(redis.call('GET', KEY_RECORDED) or 0)
end

-- Ids that were never given, among those that the recorder has not come past.
local function skipped(state)
  local ahead = recorded_seq() < tonumber(state[STATE_SKIPPED_TO] or 0)
  return ahead and tonumber(state[STATE_SKIPPED]) or 0
end

local function backlog(state, seq)
  return seq - recorded_seq() - skipped(state)
end
