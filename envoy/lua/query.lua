--[[ What a path and its query may say.

The transcoder lets a parameter overrule the path, takes names in camelCase, and the last of several. ]]

local text = require("text")

local query = {}

-- The name of a parameter; as it was sent where decoded it is no plain text.
local function name_of(raw)
  local name = text.decoded(raw)
  if name == "" then return "query" end
  return name:find("[^\32-\126]") and raw or name
end

-- The first parameter of *sent* that *method* does not take, and why; nil where all fits.
function query.misfit(sent, method)
  local seen = {}
  for parameter in sent:gmatch("[^&]+") do
    local raw, value = parameter:match("^([^=]*)=?(.*)$")
    local name = name_of(raw)
    if not method.query then return name, "a query is not taken here" end
    if method.in_path[name] then return name, "is said by the path" end
    if not method.query[name] then return name, "is not a name that this takes" end
    if seen[name] then return name, "comes twice" end
    if not text.is_utf8(text.decoded(value)) then return name, "is not UTF-8" end
    seen[name] = true
  end
end

-- The variable of *path* that is no text, and why; nil where all are.
function query.unreadable(path, method)
  if not path:find("%", 1, true) then return nil end
  for name, value in pairs(method.in_path) do
    local raw = path:match(value)
    if raw and not text.is_utf8(text.decoded(raw)) then return name, "is not UTF-8" end
  end
end

return query
