--[[ A refusal that an EventSource survives: anything but a stream of events would end it for good.

It reads a stream that says when to come back, tells the page why in an event named "refused", and ends. ]]

local comeback = {}

local USUAL_MS = 2000
local SPREAD_MS = 2000  -- those that are refused together do not come back together

-- Whether a refusal with this HTTP code may be over when it is asked again.
function comeback.is_worth_it(code)
  return code == "429" or code >= "500"
end

-- The event that says *envelope*.
function comeback.event(envelope)
  local hint = tonumber(envelope:match('"retry_after_ms":"(%d+)"')) or 0
  local retry = math.max(hint, USUAL_MS) + math.random(0, SPREAD_MS)
  return ("retry: %d\nevent: refused\ndata: %s\n\n"):format(retry, envelope)
end

return comeback
