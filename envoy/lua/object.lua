--[[ Finds its way in the transcoder's JSON, which is compact, and where a field's name has no escapes: nothing is decoded. ]]

local byte, find, sub = string.byte, string.find, string.sub

local object = {}

local QUOTE, COMMA, OPEN_LIST, OPEN, CLOSE_LIST, CLOSE = ('",[{]}'):byte(1, 6)

local function past_text(json, at)
  repeat
    at = find(json, '["\\]', at + 1)
    local is_escape = byte(json, at) ~= QUOTE
    if is_escape then at = at + 1 end
  until not is_escape
  return at + 1
end

-- The position behind the value that begins at *at*.
function object.past_value(json, at)
  local depth = 0
  repeat
    local code = byte(json, at)
    if code == QUOTE then
      at = past_text(json, at)
    elseif code == OPEN or code == OPEN_LIST then
      depth, at = depth + 1, at + 1
    elseif code == CLOSE or code == CLOSE_LIST then
      depth, at = depth - 1, at + 1
    else
      at = find(json, '["{}%[%],]', at + 1) or #json + 1
    end
  until depth == 0
  return at
end

-- The text of member *wanted* of the object *json*; nil where it has none.
function object.member(json, wanted)
  local at = 2
  while byte(json, at) == QUOTE do
    local colon = find(json, '":', at + 1, true)
    local past = object.past_value(json, colon + 2)
    if sub(json, at + 1, colon - 1) == wanted then return sub(json, colon + 2, past - 1) end
    at = past
    if byte(json, at) == COMMA then at = at + 1 end
  end
end

return object
