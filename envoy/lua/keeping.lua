--[[ Gives the answers that are kept, and keeps those to come. ]]

local kept = require("kept")

local keeping = {}

local KEPT = { [":status"] = "200", ["content-type"] = "application/json", age = "0" }
local OURS = "kuji"

-- Answers with what is kept for the parameters *sent*; or notes what the answer to come is to be kept as.
function keeping.answer(handle, sent)
  local parameters = {}
  for parameter in sent:gmatch("[^&]+") do parameters[#parameters + 1] = parameter end
  table.sort(parameters)
  local key = table.concat(parameters, "&")
  local now_ms = tonumber(handle:timestamp(EnvoyTimestampResolution.MILLISECOND))
  local found = kept.find(key, now_ms)
  if found then handle:respond(KEPT, found) end
  local note = handle:streamInfo():dynamicMetadata()
  note:set(OURS, "key", key)
  note:set(OURS, "asked", now_ms)
end

-- Whether the answer under way was kept; caches on the way may keep none for longer.
function keeping.is_kept(headers)
  if headers:get(":status") == "200" then headers:replace("cache-control", "public, max-age=0") end
  return headers:get("age") ~= nil
end

-- Keeps *envelope*.
function keeping.keep(handle, envelope)
  local note = handle:streamInfo():dynamicMetadata():get(OURS)
  if note then kept.keep(note.key, envelope, note.asked) end
end

return keeping
