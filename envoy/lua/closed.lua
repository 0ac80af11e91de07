--[[ Activities that give no draws, as this worker of Envoy knows them.

What is known of one is bounded in time by what the draw service grants, and in number: strangers change nothing, for
it is learnt from the draw service's own answers. ]]

local bit = require("bit")

local advice = require("advice")
local digest = require("digest")

local closed = {}

local GRANTED_MS = 800   -- from the moment of asking, see services/pool/store/closings.py
local REFRESH_MS = 400   -- from then on one caller asks anew, while the others get what is known
local PATIENCE_MS = 2500 -- for one that asks
local MOST = 16          -- activities; a filter is at most 4 MiB

local activities, count = {}, 0

local function forget(id)
  if activities[id] then
    activities[id] = nil
    count = count - 1
  end
end

local function forget_the_least_used()
  local oldest
  for id, found in pairs(activities) do
    if not oldest or found.used < activities[oldest].used then oldest = id end
  end
  forget(oldest)
end

-- Whether nothing is known of any activity.
function closed.is_empty() return count == 0 end

-- Whether something is known of activity *id*.
function closed.is_known(id) return activities[id] ~= nil end

-- Notes that at *asked_ms* or later the service gave *envelope* with HTTP code *code* for activity *id*, which says that
-- it is *closing*.
function closed.learn(id, closing, envelope, code, asked_ms)
  local found = activities[id]
  if not found then
    if count == MOST then forget_the_least_used() end
    count = count + 1
    found = { version = 0, drawn = "", asked = -GRANTED_MS, asking = -PATIENCE_MS }
    activities[id] = found
  end
  found.closing, found.envelope, found.code, found.used = closing, envelope, code, asked_ms
end

-- Notes that at *asked_ms* or later activity *id* gave a draw.
function closed.unlearn(id, asked_ms)
  local found = activities[id]
  if found and asked_ms >= found.asked then forget(id) end
end

local function is_granted(found, now_ms)
  return found.granted == found.closing and now_ms >= found.asked and now_ms < found.asked + GRANTED_MS
end

local function ask(handle, id, found, now_ms)
  found.asking = now_ms
  local closing, version, drawn = advice.ask(handle, id, found.version)
  found.asking = -PATIENCE_MS
  if closing == 0 then return forget(id) end
  if not closing then return end
  found.asked, found.granted = now_ms, closing
  if version ~= found.version then found.version, found.drawn = version, drawn end
end

-- What is known of activity *id* and may be answered now; nil where a service is to be asked. May wait, and then what
-- was got of the handle before is no longer valid. *now* says the time.
function closed.find(handle, id, now)
  local found, now_ms = activities[id], now()
  if not found then return nil end
  found.used = now_ms
  local age = now_ms - found.asked
  if (age < 0 or age >= REFRESH_MS) and math.abs(now_ms - found.asking) >= PATIENCE_MS then
    ask(handle, id, found, now_ms)
  end
  return is_granted(found, now()) and found or nil
end

-- Whether a draw of user *user* under *request_id* may have been made.
function closed.may_have_drawn(found, user, request_id)
  local bits = found.drawn
  if bits == "" then return true end
  local mask = 8 * #bits - 1
  local function is_set(number)
    local at = bit.band(number, mask)
    return bit.band(bits:byte(bit.rshift(at, 3) + 1), bit.lshift(1, bit.band(at, 7))) ~= 0
  end
  local one, two, three = digest.numbers(user .. "|" .. request_id)
  return is_set(one) and is_set(two) and is_set(three)
end

return closed
