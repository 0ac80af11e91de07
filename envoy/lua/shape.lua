--[[ What the transcoder cannot do: null where a field is unset, and 64-bit integers as numbers.

A shape is a table of a message's fields that take part: name → INTEGER, or the shape of the message or messages
in it; and NULLS, the names that are null while they are unset. ]]

local object = require("object")

local byte, find, sub = string.byte, string.find, string.sub

local shape = { INTEGER = "integer", NULLS = 1 }

local NULLS, past_value = shape.NULLS, object.past_value
local QUOTE, COMMA, OPEN_LIST, OPEN, CLOSE_LIST = ('",[{]'):byte(1, 5)

local function keep(pieces, json, kept, last, more)
  pieces[#pieces + 1] = sub(json, kept, last)
  pieces[#pieces + 1] = more
end

local walk

-- The position behind the value at *at*, of *kind*, and from where on *json* is not in *pieces* yet.
local function walk_value(json, at, kind, pieces, kept)
  local code = byte(json, at)
  if code == OPEN_LIST then
    at = at + 1
    while byte(json, at) ~= CLOSE_LIST do
      at, kept = walk_value(json, at, kind, pieces, kept)
      if byte(json, at) == COMMA then at = at + 1 end
    end
    return at + 1, kept
  end
  if code == OPEN then return walk(json, at, kind, pieces, kept) end
  local past = past_value(json, at)
  if code ~= QUOTE then return past, kept end
  keep(pieces, json, kept, at - 1, sub(json, at + 1, past - 2))
  return past, past
end

-- The same of the object at *at*.
function walk(json, at, fields, pieces, kept)
  local nulls, seen = fields[NULLS], nil
  local first = at + 1
  at = first
  while byte(json, at) == QUOTE do
    local colon = find(json, '":', at + 1, true)
    local name = sub(json, at + 1, colon - 1)
    local kind = fields[name]
    if kind then
      at, kept = walk_value(json, colon + 2, kind, pieces, kept)
    else
      at = past_value(json, colon + 2)
    end
    if nulls and nulls[name] then
      seen = seen or {}
      seen[name] = true
    end
    if byte(json, at) == COMMA then at = at + 1 end
  end
  for name in pairs(nulls or {}) do
    if not (seen and seen[name]) then
      keep(pieces, json, kept, at - 1, (at > first and "," or "") .. '"' .. name .. '":null')
      kept, first = at, 0
    end
  end
  return at + 1, kept
end

-- *json*, an object, with *nulls*: how a name begins that no object in it has → what is written in its place. A text
-- cannot look like a name: quotes in it are escaped.
function shape.with_nulls(json, nulls)
  if byte(json) ~= OPEN then return json end
  local missing = ""
  for name, null in pairs(nulls) do
    if not find(json, name, 1, true) then missing = missing .. null end
  end
  return missing == "" and json or sub(json, 1, -2) .. missing .. "}"
end

-- *json*, the value of *kind*, in the shape that callers know.
function shape.of(json, kind)
  local code = byte(json)
  if code ~= OPEN and code ~= OPEN_LIST then return json end
  local pieces = {}
  local _, kept = walk_value(json, 1, kind, pieces, 1)
  if kept == 1 then return json end
  pieces[#pieces + 1] = sub(json, kept)
  return table.concat(pieces)
end

return shape
