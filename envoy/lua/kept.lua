--[[ Answers that are kept for a second, so that however many ask, a service is asked once a second by each worker
of Envoy. What is kept is bounded whatever is asked, and nothing that a caller sends changes how long. ]]

local kept = {}

local LONGEST_MS = 1000
local REFRESH_MS = 800  -- from then on one caller asks anew, while the others get what is there
local MOST, LARGEST = 64, 65536  -- answers, bytes of one

local answers, count = {}, 0

local function forget(key)
  answers[key] = nil
  count = count - 1
end

local function forget_the_least_used()
  local oldest
  for key, found in pairs(answers) do
    if not oldest or found.used < answers[oldest].used then oldest = key end
  end
  forget(oldest)
end

-- The answer for *key* that may be given at *now_ms*; nil where a service is to be asked.
function kept.find(key, now_ms)
  local found = answers[key]
  if not found then return nil end
  local age = now_ms - found.asked
  if age < 0 or age >= LONGEST_MS then
    forget(key)
    return nil
  end
  if age >= REFRESH_MS and not found.is_asked_anew then
    found.is_asked_anew = true
    return nil
  end
  found.used = now_ms
  return found.answer
end

-- Keeps *answer*, which was asked for at *asked_ms*.
function kept.keep(key, answer, asked_ms)
  if #answer > LARGEST then return end
  if not answers[key] then
    if count == MOST then forget_the_least_used() end
    count = count + 1
  end
  answers[key] = { answer = answer, asked = asked_ms, used = asked_ms }
end

return kept
