--[[ Text: whether it is UTF-8, and how it is written in JSON. ]]

local text = {}

local TAIL = "[\128-\191]"
local WIDE = {
  "\240[\144-\191]" .. TAIL .. TAIL, "[\241-\243]" .. TAIL .. TAIL .. TAIL, "\244[\128-\143]" .. TAIL .. TAIL,
  "\224[\160-\191]" .. TAIL, "[\225-\236\238\239]" .. TAIL .. TAIL, "\237[\128-\159]" .. TAIL,
  "[\194-\223]" .. TAIL,
}

-- Whether *bytes* are UTF-8.
function text.is_utf8(bytes)
  if not bytes:find("[\128-\255]") then return true end
  for _, character in ipairs(WIDE) do bytes = bytes:gsub(character, " ") end
  return not bytes:find("[\128-\255]")
end

-- *bytes* as a JSON text.
function text.quoted(bytes)
  if not text.is_utf8(bytes) then bytes = bytes:gsub("[\128-\255]", "?") end
  local escaped = bytes:gsub('["\\]', "\\%0"):gsub("%c", function(c) return ("\\u%04x"):format(c:byte()) end)
  return '"' .. escaped .. '"'
end

-- *encoded* with its %xx, and where *plus* is a blank, its plus signs decoded.
function text.decoded(encoded)
  if not encoded:find("[%%+]") then return encoded end
  return (encoded:gsub("+", " "):gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

-- *bytes* as the value of a parameter.
function text.escaped(bytes)
  return (bytes:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

return text
