--[[ The JSON of a request's body, read strictly (RFC 8259) and against the names that it may have.

The transcoder behind reads more than JSON, passes over names that it does not know, and takes one of two values
of a name: so that both read the same, what is not plain JSON is refused here.

A message is a table: name → true (one value), a message, a list of either as { kind }, or json.ANY. ]]

local scalar = require("scalar")
local text = require("text")

local byte, find, sub = string.byte, string.find, string.sub

local json = {}

-- Any JSON.
json.ANY = setmetatable({}, { __index = function(any) return any end })

local DEEPEST = 32
local MALFORMED = "is not JSON"
local QUOTE, COMMA, COLON, OPEN_LIST, CLOSE_LIST, OPEN, CLOSE, NULL = ('",:[]{}n'):byte(1, 8)

local past_blanks, past_text = scalar.past_blanks, scalar.past_text
local past_object, past_list

-- The position behind the value at *at*; or nil, and what is wrong: its field, seen from here, and a sentence.
local function past_value(body, at, kind, depth)
  local code = byte(body, at)
  if code == OPEN or code == OPEN_LIST then
    if kind == true or depth > DEEPEST then return nil, "", "takes one value" end
    if code == OPEN_LIST and not kind[1] then return nil, "", "takes no list" end
    if code == OPEN_LIST then return past_list(body, at, kind[1], depth + 1) end
    return past_object(body, at, kind, depth + 1)
  end
  local past = scalar.past(body, at)
  if not past then return nil, nil, MALFORMED end
  return past
end

local function beneath(name, field)
  if not field then return nil end
  if field == "" then return name end
  return name .. (byte(field) == OPEN_LIST and "" or ".") .. field
end

function past_list(body, at, kind, depth)
  at = past_blanks(body, at + 1)
  if byte(body, at) == CLOSE_LIST then return at + 1 end
  local index = 0
  while true do
    local past, field, complaint = past_value(body, at, kind, depth)
    if not past then return nil, beneath("[" .. index .. "]", field), complaint end
    at = past_blanks(body, past)
    local code = byte(body, at)
    if code == CLOSE_LIST then return at + 1 end
    if code ~= COMMA then return nil, nil, MALFORMED end
    at, index = past_blanks(body, at + 1), index + 1
  end
end

local function unescaped(name)
  name = name:gsub("\\u00(%x%x)", function(code) return string.char(tonumber(code, 16)) end)
  return (name:gsub('\\(["\\/])', "%1"))
end

-- The name at *at* and the position of its value; or nil, and what is wrong.
local function member(body, at, message, seen)
  local past = byte(body, at) == QUOTE and past_text(body, at)
  if not past then return nil, nil, MALFORMED end
  local name = sub(body, at + 1, past - 2)
  if find(name, "\\", 1, true) then name = unescaped(name) end
  if not message[name] then return nil, name, "is not a name that this takes" end
  if seen[name] then return nil, name, "comes twice" end
  local colon = past_blanks(body, past)
  if byte(body, colon) ~= COLON then return nil, nil, MALFORMED end
  return name, past_blanks(body, colon + 1)
end

function past_object(body, at, message, depth, nulls)
  at = past_blanks(body, at + 1)
  if byte(body, at) == CLOSE then return at + 1 end
  local seen = {}
  while true do
    local name, first, complaint = member(body, at, message, seen)
    if not name then return nil, first, complaint end
    local is_null = byte(body, first) == NULL
    seen[name] = true
    if is_null and nulls then nulls[#nulls + 1] = name end
    local past, field, why = past_value(body, first, message[name], depth)
    if not past then return nil, beneath(name, field), why end
    at = past_blanks(body, past)
    local code = byte(body, at)
    if code == CLOSE then return at + 1 end
    if code ~= COMMA then return nil, nil, MALFORMED end
    at = past_blanks(body, at + 1)
  end
end

-- The names of *body*'s fields that are null; or nil, and what is wrong: a field, "body" where it is no JSON, and
-- a sentence.
function json.read(body, message)
  if not text.is_utf8(body) then return nil, "body", "is not UTF-8" end
  local at, nulls = past_blanks(body, 1), {}
  if byte(body, at) ~= OPEN then return nil, "body", "is not a JSON object" end
  local past, field, complaint = past_object(body, at, message, 1, nulls)
  if not past then return nil, field or "body", complaint end
  if past_blanks(body, past) <= #body then return nil, "body", MALFORMED end
  return nulls
end

return json
