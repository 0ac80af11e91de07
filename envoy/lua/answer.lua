--[[ The envelope around every JSON answer.

  success   {"status":1,"msg":"ok","data":<body>}
  failure   {"status":0,"msg":<sentence>,"reason":<REASON>,"data":null,"metadata":{…}}

What a service writes by itself, envelope and all (services/common/enveloped.py), is passed on.
Methods for the clients of the old system answer a business failure with HTTP 200. See docs/errors.md. ]]

local closing = require("closing")
local comeback = require("comeback")
local contract = require("contract")
local object = require("object")
local refusal = require("refusal")
local shape = require("shape")
local text = require("text")

local answer = {}

-- What an answer that nobody has explained means, by its HTTP code.
local REASON_OF_CODE = {
  ["401"] = "UNAUTHENTICATED", ["403"] = "PERMISSION_DENIED", ["404"] = "NOT_FOUND", ["413"] = "PAYLOAD_TOO_LARGE",
  ["429"] = "OVERLOADED",  -- of a service's transport: the edge's own limits explain themselves
  ["499"] = "UNAVAILABLE", ["502"] = "UNAVAILABLE", ["503"] = "UNAVAILABLE", ["504"] = "UNAVAILABLE",
}
local NONE = {}
local COMPLAINTS = { "^([%w_.]+): ", '^Could not find field "([^"]+)"', "on a scalar field for type ([%w_.]+)$" }

local function success(body, method)
  local field = method.unwrap
  if field then body = body == "{}" and "null" or body:sub(#field + 5, -2) end
  if method.nulls then body = shape.with_nulls(body, method.nulls) end
  if method.shape then body = shape.of(body, method.shape) end
  return '{"status":1,"msg":"ok","data":' .. body .. "}"
end

-- Envelope and reason of a service's google.rpc.Status; nil where it has no ErrorInfo.
local function explained(status)
  local info = (object.member(status, "details") or ""):match("^%[({.*})%]$")
  local reason = info and object.member(info, "reason")
  if not reason then return nil end
  local message = object.member(status, "message") or '""'
  return refusal.envelope(message, reason, object.member(info, "metadata")), reason:sub(2, -2)
end

-- The same of the transcoder's *complaint*.
local function of_complaint(complaint)
  local field
  for _, pattern in ipairs(COMPLAINTS) do field = field or complaint:match(pattern) end
  return refusal.of_field(field or "body", complaint:match("^[: ]*([^\n]*)")), "INVALID_ARGUMENT"
end

-- The envelope of a failure and its HTTP code.
local function failure(body, code, method)
  local envelope, reason
  if body:find('^{"status":0,') then
    envelope, reason = body, body:match('"reason":"([A-Z_]+)"')
  elseif body:find("^{") then
    envelope, reason = explained(body)
    if envelope and method.old and not contract.technical[reason] then return envelope, "200" end
  elseif code == "400" then
    envelope, reason = of_complaint(body)
  end
  if not envelope then
    reason = REASON_OF_CODE[code] or "INTERNAL"
    envelope = refusal.of(reason)
  end
  return envelope, contract.codes[reason] or code
end

-- The text of a refusal in gRPC's dress, which Envoy puts on for a caller that says it is gRPC; nil without it.
local function undressed(headers)
  if headers:get("content-type") ~= "application/grpc" then return nil end
  local message = headers:get("grpc-message") or ""
  return (message:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

-- Writes *envelope*; a HEAD gets its headers alone.
local function set_body(handle, body, envelope, method)
  body:setBytes(method.head and "" or envelope)
  handle:headers():replace("content-length", tostring(#envelope))
end

local function succeed(handle, method, keep)
  local body = handle:body(true)  -- waits; what was got of the handle before is no longer valid
  local envelope = success(body:getBytes(0, body:length()), method)
  if method.kept then keep(handle, envelope) end
  if method.closes then closing.learn(handle, envelope, "200") end
  set_body(handle, body, envelope, method)
end

-- The service has written all of it.
local function pass(handle, method)
  if not method.closes then return end
  local body = handle:body(true)
  closing.learn(handle, body:getBytes(0, body:length()), "200")
end

-- Leaves the headers of a HEAD alone.
local function drop(handle, method)
  if method.events then handle:headers():remove("content-length") end
  for chunk in handle:bodyChunks() do chunk:setBytes("") end
end

-- Says in seconds, where caches and clients look for it, when what *envelope* refuses may be repeated.
local function say_when(headers, envelope)
  local wait_ms = envelope:match('"retry_after_ms":"(%d+)"')
  if wait_ms then headers:replace("retry-after", ("%d"):format(math.ceil(wait_ms / 1000))) end
end

local function fail(handle, method, code, dressed)
  local body = handle:body(true)
  if method.head and body:length() == 0 then return end  -- the edge's own, with the length of what is not sent
  local said = dressed or body:length() > 0 and body:getBytes(0, body:length()) or ""
  local envelope, fitting = failure(said, code, method)
  if method.closes then closing.learn(handle, envelope, fitting) end
  local kind = "application/json"
  if method.comes_back and comeback.is_worth_it(fitting) then
    envelope, fitting, kind = comeback.event(envelope), "200", "text/event-stream"
  end
  handle:headers():replace(":status", fitting)
  handle:headers():replace("content-type", kind)
  if fitting ~= "200" then say_when(handle:headers(), envelope) end
  set_body(handle, body, envelope, method)
end

-- Puts the envelope around the answer to *method*; *keep* is called with that of a success. Without a method, it is
-- the edge's own answer, which has one.
function answer.finish(handle, method, keep)
  local headers = handle:headers()
  local code = headers:get(":status")
  local dressed = code == "200" and undressed(headers)
  if dressed then code = "400" elseif not method then return end
  headers:remove("grpc-status")
  headers:remove("grpc-message")
  if code ~= "200" then return fail(handle, method or NONE, code, dressed) end
  if method.enveloped then return pass(handle, method) end
  if not method.plain then return succeed(handle, method, keep) end
  if method.head then return drop(handle, method) end
end

return answer
