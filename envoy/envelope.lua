--[[ The envelope around every JSON answer of the inner listener.

  success   {"status":1,"msg":"ok","data":<body>}
  failure   {"status":0,"msg":<sentence>,"reason":<REASON>,"data":null,"metadata":{…}}

The transcoder's answers are compact JSON in a fixed order, so a scanner finds what is needed; nothing is decoded. Event
streams, and the methods of RAW, stay as they are. x-kuji-method, the gRPC method called, is set by the route and taken off here.
See docs/errors.md. ]]

-- Answers that are no messages.
local RAW = {
  ["/kuji.auth.v1.AuthService/GetJwks"] = true,
  ["/kuji.admin.v1.AdminService/StreamRecords"] = true,
}

-- Answers that the edge's cache keeps for one second at most: it counts age in whole seconds of the
-- Date header and drops an answer whose age exceeds max-age. So 0 lasts until the second ends, and 1
-- would be nearly two. Envoy's own Date lags by up to half a second; hence the one set here.
local KEPT = { ["/kuji.history.v1.HistoryService/ListWinners"] = true }

-- Methods whose answer is one field of their message: response_body of the protos, which Envoy
-- itself cannot do. A test holds this against the protos.
local RESPONSE_BODY = {
  ["/kuji.auth.v1.AuthService/Register"] = "session",
  ["/kuji.auth.v1.AuthService/Login"] = "session",
  ["/kuji.auth.v1.AuthService/AdminLogin"] = "session",
  ["/kuji.auth.v1.AuthService/Refresh"] = "session",
  ["/kuji.auth.v1.AuthService/GetProfile"] = "profile",
  ["/kuji.draw.v1.DrawService/Draw"] = "result",
  ["/kuji.admin.v1.AdminService/CreateActivity"] = "activity",
  ["/kuji.admin.v1.AdminService/UpdateActivity"] = "activity",
  ["/kuji.admin.v1.AdminService/CreateBlock"] = "block",
  ["/kuji.admin.v1.AdminService/DeleteBlock"] = "block",
  ["/kuji.admin.v1.AdminService/CreatePrize"] = "prize",
  ["/kuji.admin.v1.AdminService/UpdatePrize"] = "prize",
  ["/kuji.admin.v1.AdminService/DeletePrize"] = "prize",
  ["/kuji.history.v1.HistoryService/GetResult"] = "result",
}

-- Fields that are null while unset; the transcoder leaves them out. A field inside a list's
-- elements has the list's name before it. A test holds this against the protos.
local NULLS = {
  ["/kuji.auth.v1.AuthService/GetProfile"] = { "last_lottery_at" },
  ["/kuji.draw.v1.DrawService/Draw"] = { "prize", "draws_left", "next_draw_at" },
  ["/kuji.draw.v1.DrawService/VerifyDraw"] = { "seed" },
  ["/kuji.admin.v1.AdminService/CreateActivity"] = { "end_time" },
  ["/kuji.admin.v1.AdminService/UpdateActivity"] = { "end_time" },
  ["/kuji.admin.v1.AdminService/ListActivities"] = { "activities.end_time" },
  ["/kuji.admin.v1.AdminService/CreateBlock"] = { "until" },
  ["/kuji.admin.v1.AdminService/DeleteBlock"] = { "until" },
  ["/kuji.admin.v1.AdminService/ListBlocks"] = { "blocks.until" },
  ["/kuji.history.v1.HistoryService/ListActivities"] = { "activities.end_time" },
  ["/kuji.history.v1.HistoryService/ListPrizes"] = { "activity.end_time" },
  ["/kuji.history.v1.HistoryService/GetResult"] = { "prize" },
}

-- What an answer without ErrorInfo means: Envoy's own refusals.
local REASON_OF_STATUS = {
  ["400"] = "INVALID_ARGUMENT", ["401"] = "UNAUTHENTICATED", ["403"] = "PERMISSION_DENIED", ["404"] = "NOT_FOUND",
  ["405"] = "NOT_FOUND", ["413"] = "PAYLOAD_TOO_LARGE", ["429"] = "RATE_LIMITED", ["503"] = "UNAVAILABLE",
}
local MESSAGE_OF_REASON = {
  NOT_FOUND = "There is no such route.",
  PAYLOAD_TOO_LARGE = "The body is larger than 64 KiB.",
  RATE_LIMITED = "Too many calls. Please slow down.",
  UNAVAILABLE = "The outcome is unknown at this moment. Repeat with the same request_id to learn it.",
  INTERNAL = "Something went wrong on our side.",
}
local RETRY_SOON = '{"retry_after_ms":"500"}'

-- Headers of the way here that are nobody's business.
local INTERNAL_HEADERS = { "x-kuji-method", "grpc-status", "grpc-message", "grpc-accept-encoding" }

-- The position behind the JSON value that begins at *at*.
local function behind(json, at)
  local depth = 0
  repeat
    local first = json:sub(at, at)
    if first == '"' then
      repeat
        at = json:find('["\\]', at + 1)
        local escaped = json:sub(at, at) == "\\"
        if escaped then at = at + 1 end
      until not escaped
      at = at + 1
    elseif first == "{" or first == "[" then
      depth, at = depth + 1, at + 1
    elseif first == "}" or first == "]" then
      depth, at = depth - 1, at + 1
    else
      at = json:find('["{}%[%],]', at + 1) or #json + 1
    end
  until depth == 0
  return at
end

-- Iterates over an object: name, first position of the value, position behind it.
local function members(json, at)
  at = at + 1
  return function()
    if json:sub(at, at) == "," then at = at + 1 end
    if json:sub(at, at) ~= '"' then return nil end
    local colon = behind(json, at)
    local name, first = json:sub(at + 1, colon - 2), colon + 1
    at = behind(json, first)
    return name, first, at
  end
end

-- The text of member *wanted* of an object, and its two positions; nil where it has none.
local function member(object, wanted)
  for name, first, past in members(object, 1) do
    if name == wanted then return object:sub(first, past - 1), first, past end
  end
end

local with_null

local function with_null_in_each(value, path)
  if value:sub(1, 1) == "{" then return with_null(value, path) end
  local elements, at = {}, 2
  while value:sub(at, at) ~= "]" do
    local past = behind(value, at)
    elements[#elements + 1] = with_null(value:sub(at, past - 1), path)
    at = value:sub(past, past) == "," and past + 1 or past
  end
  return "[" .. table.concat(elements, ",") .. "]"
end

-- *object* with the field at *path* null where it is missing.
function with_null(object, path)
  local name, rest = path:match("^([^.]+)%.?(.*)$")
  local value, first, past = member(object, name)
  if rest ~= "" then
    if not value then return object end
    return object:sub(1, first - 1) .. with_null_in_each(value, rest) .. object:sub(past)
  end
  if value then return object end
  return object:sub(1, -2) .. (object == "{}" and "" or ",") .. '"' .. name .. '":null}'
end

local function success(body, method)
  local field = RESPONSE_BODY[method]
  if field then body = member(body, field) end
  for _, path in ipairs(NULLS[method] or {}) do body = with_null(body, path) end
  return '{"status":1,"msg":"ok","data":' .. body .. "}"
end

local function quoted(text)
  local escaped = text:gsub('["\\]', "\\%0"):gsub("%c", function(c) return ("\\u%04x"):format(c:byte()) end)
  return '"' .. escaped .. '"'
end

-- Message, reason and metadata as JSON, of the transcoder's google.rpc.Status.
local function explanation(status_json)
  local info = (member(status_json, "details") or ""):match("^%[({.*})%]$")
  if not info then return nil end
  return member(status_json, "message"), member(info, "reason"), member(info, "metadata")
end

-- The same of a refusal by Envoy, whose *text* is the transcoder's complaint where the request does not fit.
local function refusal(text, status)
  local reason = REASON_OF_STATUS[status] or "INTERNAL"
  if reason ~= "INVALID_ARGUMENT" then
    return quoted(MESSAGE_OF_REASON[reason]), quoted(reason), reason == "UNAVAILABLE" and RETRY_SOON or nil
  end
  local field = text:match("^([%w_.]+): ") or text:match('^Could not find field "([^"]+)"')
    or text:match("on a scalar field for type ([%w_.]+)$") or "body"
  local message = "The request does not fit: " .. text:match("^[: ]*([^\n]*)")
  return quoted(message), quoted(reason), '{"field":' .. quoted(field) .. "}"
end

local function failure(body, status)
  local message, reason, metadata
  if body:sub(1, 1) == "{" then message, reason, metadata = explanation(body) end
  if not reason then message, reason, metadata = refusal(body, status) end
  local tail = (metadata or "{}") == "{}" and "}" or ',"metadata":' .. metadata .. "}"
  return '{"status":0,"msg":' .. (message or '""') .. ',"reason":' .. reason .. ',"data":null' .. tail
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local method, status = headers:get("x-kuji-method"), headers:get(":status")
  local content_type = headers:get("content-type")
  for _, name in ipairs(INTERNAL_HEADERS) do headers:remove(name) end
  local succeeded = status == "200"
  if succeeded and (RAW[method] or content_type == "text/event-stream") then return end

  if status == "502" or status == "504" then
    status = "503"
    headers:replace(":status", status)
  end
  headers:replace("content-type", "application/json")
  if succeeded and KEPT[method] then
    headers:replace("cache-control", "public, max-age=0")
    headers:replace("date", os.date("!%a, %d %b %Y %H:%M:%S GMT"))
  end
  local body = handle:body(true)  -- waits; what was got of the handle before is no longer valid
  local text = body:length() > 0 and body:getBytes(0, body:length()) or ""
  local length = body:setBytes(succeeded and success(text, method) or failure(text, status))
  handle:headers():replace("content-length", length)
end
