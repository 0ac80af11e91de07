--[[ The envelope around every JSON answer of the inner listener.

  success   {"status":1,"msg":"ok","data":<body>}
  failure   {"status":0,"msg":<sentence>,"reason":<REASON>,"data":null,"metadata":{…}}

Methods of kuji.blindbox.v1 speak to the clients of the old system: their 64-bit integers are numbers, and a business failure
is HTTP 200.

The transcoder's answers are compact JSON, an object's fields in the order of its proto, so patterns and a scanner find what is
needed; nothing is decoded. A quote inside a text comes escaped, so `name":` is a field's name and nothing else. Event
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

-- Methods whose answer is the one field of their message: response_body of the protos, which Envoy
-- itself cannot do. A test holds this against the protos.
local RESPONSE_BODY = {
  ["/kuji.auth.v1.AuthService/Register"] = "session",
  ["/kuji.auth.v1.AuthService/Login"] = "session",
  ["/kuji.auth.v1.AuthService/AdminLogin"] = "session",
  ["/kuji.auth.v1.AuthService/Refresh"] = "session",
  ["/kuji.auth.v1.AuthService/ChangePassword"] = "session",
  ["/kuji.auth.v1.AuthService/GetProfile"] = "profile",
  ["/kuji.draw.v1.DrawService/Draw"] = "result",
  ["/kuji.admin.v1.AdminService/CreateActivity"] = "activity",
  ["/kuji.admin.v1.AdminService/UpdateActivity"] = "activity",
  ["/kuji.admin.v1.AdminService/CreateBlock"] = "block",
  ["/kuji.admin.v1.AdminService/DeleteBlock"] = "block",
  ["/kuji.admin.v1.AdminService/CreatePrize"] = "prize",
  ["/kuji.admin.v1.AdminService/UpdatePrize"] = "prize",
  ["/kuji.admin.v1.AdminService/DeletePrize"] = "prize",
  ["/kuji.admin.v1.PrizeCodeService/GetPrizeCode"] = "win",
  ["/kuji.admin.v1.PrizeCodeService/RedeemPrizeCode"] = "win",
  ["/kuji.admin.v1.PrizeCodeService/UndoRedemption"] = "win",
  ["/kuji.admin.v1.PrizeCodeService/DisqualifyDraw"] = "win",
  ["/kuji.admin.v1.GoodsService/CreateGoods"] = "goods",
  ["/kuji.admin.v1.GoodsService/UpdateGoods"] = "goods",
  ["/kuji.admin.v1.GoodsService/CreateShang"] = "shang",
  ["/kuji.admin.v1.GoodsService/CreateGoodsItem"] = "item",
  ["/kuji.admin.v1.GoodsService/UpdateGoodsItem"] = "item",
  ["/kuji.blindbox.v1.BlindBoxService/DrawWithItemCard"] = "result",
  ["/kuji.blindbox.v1.BlindBoxService/CalculateProbabilities"] = "probabilities",
  ["/kuji.blindbox.v1.BlindBoxRecordService/ListGoods"] = "goods",
  ["/kuji.blindbox.v1.BlindBoxRecordService/ListOrderPrizes"] = "prizes",
  ["/kuji.blindbox.v1.BlindBoxRecordService/ListInfiniteOrderPrizes"] = "prizes",
  ["/kuji.blindbox.v1.BlindBoxRecordService/ListDailyRecords"] = "records",
  ["/kuji.blindbox.v1.BlindBoxRecordService/ListItemCards"] = "item_cards",
  ["/kuji.history.v1.HistoryService/GetResult"] = "result",
}

-- Fields of the answer that are null while unset; the transcoder leaves them out. A test holds this
-- and the next table against the protos.
local WIN_NULLS = { "prize", "redeemed_at", "redeemed_by", "disqualified_at", "disqualified_by" }
local NULLS = {
  ["/kuji.auth.v1.AuthService/GetProfile"] = { "last_lottery_at" },
  ["/kuji.draw.v1.DrawService/Draw"] = { "prize", "draws_left", "next_draw_at" },
  ["/kuji.draw.v1.DrawService/VerifyDraw"] = { "seed" },
  ["/kuji.admin.v1.AdminService/CreateActivity"] = { "start_time", "end_time" },
  ["/kuji.admin.v1.AdminService/UpdateActivity"] = { "start_time", "end_time" },
  ["/kuji.admin.v1.AdminService/CreateBlock"] = { "until" },
  ["/kuji.admin.v1.AdminService/DeleteBlock"] = { "until" },
  ["/kuji.admin.v1.PrizeCodeService/GetPrizeCode"] = WIN_NULLS,
  ["/kuji.admin.v1.PrizeCodeService/RedeemPrizeCode"] = WIN_NULLS,
  ["/kuji.admin.v1.PrizeCodeService/UndoRedemption"] = WIN_NULLS,
  ["/kuji.admin.v1.PrizeCodeService/DisqualifyDraw"] = WIN_NULLS,
  ["/kuji.admin.v1.GoodsService/CreateGoodsItem"] = { "stock", "weight" },
  ["/kuji.admin.v1.GoodsService/UpdateGoodsItem"] = { "stock", "weight" },
  ["/kuji.blindbox.v1.BlindBoxService/DrawWithItemCard"] = { "last_prize" },
  ["/kuji.blindbox.v1.BlindBoxService/ValidateDraw"] = { "seed" },
  ["/kuji.history.v1.HistoryService/GetResult"] = { "prize" },
}

-- The same for fields of the objects within an answer, by a field that follows in the same object
-- and is always there: when it comes, what should have come before it is missing.
local NULLS_WITHIN = {
  ["/kuji.admin.v1.AdminService/ListActivities"] = { status = { "start_time", "end_time" } },
  ["/kuji.admin.v1.AdminService/ListBlocks"] = { is_active = { "until" } },
  ["/kuji.admin.v1.GoodsService/ListGoodsItems"] = { is_last_prize = { "stock", "weight" } },
  ["/kuji.admin.v1.GoodsService/ListItemCards"] = { status = { "goods_id" } },
  ["/kuji.blindbox.v1.BlindBoxService/CalculateProbabilities"] = { probability = { "surplus_stock" } },
  ["/kuji.blindbox.v1.BlindBoxRecordService/ListGoods"] = {
    is_last_prize = { "stock", "weight" },
    sold_out = { "total", "left" },
  },
  ["/kuji.blindbox.v1.BlindBoxRecordService/ListItemCards"] = { status = { "goods_id" } },
  ["/kuji.history.v1.HistoryService/ListActivities"] = { status = { "start_time", "end_time" } },
  ["/kuji.history.v1.HistoryService/ListPrizes"] = { status = { "start_time", "end_time" } },
}

-- The 64-bit integers in the answers of kuji.blindbox.v1; the transcoder prints them as texts. A test
-- holds this against the protos.
local NUMBERS = {
  addtime = true, draw_time = true, goods_id = true, goods_item_id = true, id = true, item_card_id = true,
  left = true, luck_no = true, odds_total = true, odds_weight = true, order_id = true, pool_id = true,
  shang_id = true, stock = true, surplus_stock = true, total = true, weight = true,
}

-- Failures that keep their HTTP code for the clients of the old system too: no business of theirs.
local KEEPS_CODE = {
  UNAUTHENTICATED = true, PERMISSION_DENIED = true, RATE_LIMITED = true,
  INTERNAL = true, UNAVAILABLE = true, OVERLOADED = true, POOL_NOT_LOADED = true,
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

-- What the path of a read says, and so its query must not.
local IN_PATH = {
  { "^/api/lottery/result/", "draw_id" },
  { "^/api/blindbox/draws/", "draw_id" },
  { "^/admin/api/goods/[^/]+/", "goods_id" },
}

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

local function is_for_old_clients(method)
  return method ~= nil and method:find("/kuji.blindbox.v1.", 1, true) == 1
end

-- The only field of *message*, named *field*; one never set is null.
local function unwrapped(message, field)
  return message == "{}" and "null" or message:sub(#field + 5, -2)
end

-- *object* with its field *name* null where it is missing.
local function with_null(object, name)
  if object == "null" or member(object, name) then return object end
  return object:sub(1, -2) .. (object == "{}" and "" or ",") .. '"' .. name .. '":null}'
end

local QUOTE = ('"'):byte()

local function next_field(json, at)
  local colon = json:find('":', at + 1, true)
  if not colon then return nil end
  local first = colon - 1
  while json:byte(first) ~= QUOTE do first = first - 1 end
  return colon, json:sub(first + 1, colon - 1), first
end

-- Iterates over the fields of all objects in *json*: two positions before the value, name, first
-- position of the field. Plain finds, no patterns: those are what LuaJIT compiles.
local function fields(json) return next_field, json, 0 end

-- *json* with the fields that are missing null; *expected* is a row of NULLS_WITHIN.
local function with_nulls_within(json, expected)
  local pieces, n, kept, seen = {}, 0, 1, {}
  for _, name, first in fields(json) do
    seen[name] = true
    for _, before in ipairs(expected[name] or {}) do
      if not seen[before] then
        pieces[n + 1], pieces[n + 2] = json:sub(kept, first - 1), '"' .. before .. '":null,'
        n, kept = n + 2, first
      end
      seen[before] = false
    end
  end
  pieces[n + 1] = json:sub(kept)
  return table.concat(pieces)
end

-- *json* with the fields of NUMBERS as numbers.
local function with_numbers(json)
  local pieces, n, kept = {}, 0, 1
  for colon, name in fields(json) do
    local opening = colon + 2
    if NUMBERS[name] and json:byte(opening) == QUOTE then
      local closing = json:find('"', opening + 1, true)
      pieces[n + 1], pieces[n + 2] = json:sub(kept, opening - 1), json:sub(opening + 1, closing - 1)
      n, kept = n + 2, closing + 1
    end
  end
  pieces[n + 1] = json:sub(kept)
  return table.concat(pieces)
end

local function success(body, method)
  local field = RESPONSE_BODY[method]
  if field then body = unwrapped(body, field) end
  for _, name in ipairs(NULLS[method] or {}) do body = with_null(body, name) end
  if NULLS_WITHIN[method] then body = with_nulls_within(body, NULLS_WITHIN[method]) end
  if is_for_old_clients(method) then body = with_numbers(body) end
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

-- The envelope of a failure; and the reason, where a service gave it.
local function failure(body, status)
  local message, reason, metadata
  if body:sub(1, 1) == "{" then message, reason, metadata = explanation(body) end
  local given = reason and reason:sub(2, -2)
  if not reason then message, reason, metadata = refusal(body, status) end
  local tail = (metadata or "{}") == "{}" and "}" or ',"metadata":' .. metadata .. "}"
  return '{"status":0,"msg":' .. (message or '""') .. ',"reason":' .. reason .. ',"data":null' .. tail, given
end

-- The name of a query's parameter; as it was sent where decoded it is no plain text.
local function parameter_name(raw)
  local name = raw:gsub("+", " "):gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end)
  if name == "" then return "query" end
  return name:find("[^%w%p ]") and raw or name
end

local function is_in_path(path, name)
  for _, row in ipairs(IN_PATH) do
    if row[2] == name and path:find(row[1]) then return true end
  end
  return false
end

-- Why *query* is refused: its first parameter that is not for it to say, and a sentence. The
-- transcoder would let it overrule the path, take names in camelCase, and the last of several.
local function misfit(verb, path, query)
  local seen = {}
  for parameter in query:gmatch("[^&]+") do
    local name = parameter_name(parameter:match("^[^=]*"))
    if verb ~= "GET" then
      return name, "a query is not taken here"
    elseif not name:find("^[a-z][a-z0-9_]*$") then
      return name, "no such parameter"
    elseif is_in_path(path, name) then
      return name, "is said by the path"
    elseif seen[name] then
      return name, "sent more than once"
    end
    seen[name] = true
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, query = headers:get(":path"):match("^([^?]*)%?(.*)$")
  if not query then return end
  local name, sentence = misfit(headers:get(":method"), path, query)
  if name then handle:respond({ [":status"] = "400" }, name .. ": " .. sentence) end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local method, status = headers:get("x-kuji-method"), headers:get(":status")
  local content_type = headers:get("content-type")
  for _, name in ipairs(INTERNAL_HEADERS) do headers:remove(name) end
  local succeeded = status == "200"
  if succeeded and (RAW[method] or content_type == "text/event-stream") then return end

  -- 499: a call that the service's end gave up without a reason, as it stopped.
  if status == "499" or status == "502" or status == "504" then
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
  local answer, reason
  if succeeded then answer = success(text, method) else answer, reason = failure(text, status) end
  if reason and is_for_old_clients(method) and not KEEPS_CODE[reason] then
    handle:headers():replace(":status", "200")
  end
  handle:headers():replace("content-length", body:setBytes(answer))
end
