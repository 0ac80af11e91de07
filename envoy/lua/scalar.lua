--[[ The values of JSON that hold no others, and the blanks between them: where each ends, strictly (RFC 8259). ]]

local byte, find = string.byte, string.find

local scalar = {}

local QUOTE, ESCAPE, HEX = ('"\\u'):byte(1, 3)
local ESCAPED = {}
for _, code in ipairs({ ('"\\/bfnrt'):byte(1, 8) }) do ESCAPED[code] = true end
local WORDS = { [("t"):byte()] = "^true()", [("f"):byte()] = "^false()", [("n"):byte()] = "^null()" }

-- The first position from *at* on that holds no blank.
function scalar.past_blanks(body, at)
  local code = byte(body, at)
  while code == 32 or code == 10 or code == 13 or code == 9 do
    at = at + 1
    code = byte(body, at)
  end
  return at
end

-- The position behind the escape at *at*; nil where it is none.
local function past_escape(body, at)
  local code = byte(body, at + 1)
  if ESCAPED[code] then return at + 2 end
  if code ~= HEX or not find(body, "^%x%x%x%x", at + 2) then return nil end
  if not find(body, "^[dD][89a-fA-F]", at + 2) then return at + 6 end
  return find(body, "^[dD][89abAB]%x%x\\u[dD][c-fC-F]%x%x", at + 2) and at + 12 or nil
end

-- The position behind the text that begins at *at*; nil where it is none.
function scalar.past_text(body, at)
  at = at + 1
  local code = byte(body, at)
  while code ~= QUOTE do
    if not code or code < 32 then return nil end
    if code == ESCAPE then at = past_escape(body, at) else at = at + 1 end
    if not at then return nil end
    code = byte(body, at)
  end
  return at + 1
end

local function past_number(body, at)
  local _, last = find(body, "^-?%d+", at)
  if not last or find(body, "^-?0%d", at) then return nil end
  local _, fraction = find(body, "^%.%d+", last + 1)
  local _, exponent = find(body, "^[eE][+-]?%d+", (fraction or last) + 1)
  return (exponent or fraction or last) + 1
end

-- The position behind the value that begins at *at*; nil where it is none.
function scalar.past(body, at)
  local code = byte(body, at)
  if code == QUOTE then return scalar.past_text(body, at) end
  if WORDS[code] then return select(3, find(body, WORDS[code], at)) end
  return past_number(body, at)
end

return scalar
