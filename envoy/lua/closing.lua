--[[ Answers draws of activities that give none, without asking a service: over, paused, or with nothing left to win.

It takes the service's own answer, which is the same for everybody. A request id that has drawn goes on to the service,
and so does whatever is not plainly a user's new draw. ]]

local closed = require("closed")

local closing = {}

local OURS, OWN = "kuji", "x-kuji-own"
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

-- Answers the draw that *body* asks for, where the edge knows that there is none to be had.
function closing.answer(handle, body)
  local id, request_id = wanted(body)
  if not id then return end
  local function now() return tonumber(handle:timestamp(EnvoyTimestampResolution.MILLISECOND)) end
  handle:streamInfo():dynamicMetadata():set(OURS, "draw", ("%d %d"):format(id, now()))
  local user = closed.is_known(id) and user_of(handle)
  local found = user and closed.find(handle, id, now)
  if not found or (request_id and closed.may_have_drawn(found, user, request_id)) then return end
  handle:headers():replace("x-envoy-original-path", "/")  -- in words of its own: see the mappers of envoy.yaml
  handle:respond({ [":status"] = found.code, ["content-type"] = "application/json", [OWN] = "closed" }, found.envelope)
end

-- Whether the answer under way, with *headers*, is the edge's own.
function closing.is_own(headers)
  if not headers:get(OWN) then return false end
  headers:remove(OWN)
  return true
end

-- The activity of the draw under way, and when it was asked for; nil where that was not plain to see.
local function asked_of(handle)
  local known = handle:streamInfo():dynamicMetadata():get(OURS)
  if not known or not known.draw then return nil end
  local id, asked_ms = known.draw:match("^(%d+) (%d+)$")
  return tonumber(id), tonumber(asked_ms)
end

local function learn(handle, reason, envelope, code)
  local id, asked_ms = asked_of(handle)
  if id then closed.learn(id, reason, envelope, code, asked_ms) end
end

-- A draw was made, or found. A service's is, whatever is left.
local function unlearn(handle, envelope)
  if closed.is_empty() or envelope:find('"replayed":true', 1, true) then return end
  local id, asked_ms = asked_of(handle)
  if id and closed.is_known(id) and user_of(handle) then closed.unlearn(id, asked_ms) end
end

-- Learns from the service's answer to a draw.
function closing.learn(handle, envelope, code)
  if code ~= "200" then
    local status = envelope:match('"reason":"ACTIVITY_NOT_ONGOING".*"metadata":{"status":"(%a+)"}')
    local reason = status and OF_STATUS[status]
    if reason then learn(handle, reason, envelope, code) end
  elseif envelope:find('"sold_out":true', 1, true) then
    learn(handle, SOLD_OUT, envelope, code)
  else
    unlearn(handle, envelope)
  end
end

return closing
