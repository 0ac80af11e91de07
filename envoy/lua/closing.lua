--[[ Answers draws of activities that give none, without asking a service: over, paused, or with nothing left to win.

It takes the service's own answer, which is the same for everybody. A request id that has drawn goes on to the service,
and so does whatever is not plainly a user's new draw. ]]

local closed = require("closed")

local closing = {}

local OURS = "kuji"
local SOLD_OUT, PAUSED, ENDED = 1, 2, 3  -- as in kuji.draw.v1.Closing
local OF_STATUS = { paused = PAUSED, ended = ENDED }
local LONGEST_ID = 64
local LARGEST_ACTIVITY = 2 ^ 53

-- The activity of the draw that *body* asks for, and its request id, nil where it has none; or nil where that is not
-- plain to see. The body is JSON with known names, each once.
local function wanted(body)
  if body:find("\\", 1, true) or body:find('"user_id"', 1, true) then return nil end
  local activity = tonumber(body:match('"activity_id"%s*:%s*"?([1-9]%d*)"?%s*[,}]'))
  if not activity or activity > LARGEST_ACTIVITY then return nil end
  local name = body:find('"ticket"', 1, true) and "ticket" or "request_id"
  local request_id = body:match('"' .. name .. '"%s*:%s*"([\32\33\35-\126]*)"')
  if not request_id and body:find('"' .. name .. '"', 1, true) then return nil end
  if request_id and (#request_id > LONGEST_ID or request_id == "") then return nil end
  return activity, request_id
end

-- The id of the user whose token it is; nil for a service.
local function user_of(handle)
  local known = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
  local claims = known and known.claims
  if not claims or claims.role == "service" then return nil end
  return tostring(claims.sub)
end

local function note(handle, key, value)
  handle:streamInfo():dynamicMetadata():set(OURS, key, value)
end

-- Answers the draw that *body* asks for, where the edge knows that there is none to be had.
function closing.answer(handle, body)
  local id, request_id = wanted(body)
  local user = id and user_of(handle)
  if not user then return end
  local function now() return tonumber(handle:timestamp(EnvoyTimestampResolution.MILLISECOND)) end
  note(handle, "activity", id)
  note(handle, "asked", now())
  local found = closed.find(handle, id, now)
  if not found or (request_id and closed.may_have_drawn(found, user, request_id)) then return end
  note(handle, "closed", true)
  handle:headers():replace("x-envoy-original-path", "/")  -- in words of its own: see the mappers of envoy.yaml
  handle:respond({ [":status"] = found.code, ["content-type"] = "application/json" }, found.envelope)
end

-- Whether the answer under way is the edge's own.
function closing.is_own(handle)
  local known = handle:streamInfo():dynamicMetadata():get(OURS)
  return known ~= nil and known.closed == true
end

-- Learns from the service's answer to a draw.
function closing.learn(handle, envelope, code)
  local known = handle:streamInfo():dynamicMetadata():get(OURS)
  if not known or not known.activity then return end
  if code == "200" then
    if envelope:find('"sold_out":true', 1, true) then
      closed.learn(known.activity, SOLD_OUT, envelope, code, known.asked)
    elseif not envelope:find('"replayed":true', 1, true) then
      closed.unlearn(known.activity, known.asked)
    end
  elseif envelope:find('"reason":"ACTIVITY_NOT_ONGOING"', 1, true) then
    local reason = OF_STATUS[envelope:match('"metadata":{"status":"(%a+)"}')]
    if reason then closed.learn(known.activity, reason, envelope, code, known.asked) end
  end
end

return closing
