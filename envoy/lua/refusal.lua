--[[ Why the edge refuses: the envelope of a failure that no service has seen. ]]

local text = require("text")

local refusal = {}

local SENTENCES = {
  INTERNAL = "Something went wrong on our side.",
  METHOD_NOT_ALLOWED = "This route has other methods.",
  NOT_FOUND = "There is no such route.",
  OVERLOADED = "Too many calls at this moment. Nothing was done: repeat it a little later.",
  PAYLOAD_TOO_LARGE = "The body is larger than 64 KiB.",
  PERMISSION_DENIED = "Your role may not do this.",
  UNAUTHENTICATED = "A valid access token is needed.",
  UNAVAILABLE = "The outcome is unknown at this moment. Repeat with the same request_id to learn it.",
}
local METADATA = {
  OVERLOADED = { "retry_after_ms", "1000" },
  UNAVAILABLE = { "retry_after_ms", "500" },
}

-- The envelope around *message*, *reason* and *metadata*, which are JSON.
function refusal.envelope(message, reason, metadata)
  local tail = (metadata or "{}") == "{}" and "}" or ',"metadata":' .. metadata .. "}"
  return '{"status":0,"msg":' .. message .. ',"reason":' .. reason .. ',"data":null' .. tail
end

-- The envelope of *reason*.
function refusal.of(reason)
  local pair = METADATA[reason]
  local metadata = pair and '{"' .. pair[1] .. '":"' .. pair[2] .. '"}'
  return refusal.envelope(text.quoted(SENTENCES[reason]), '"' .. reason .. '"', metadata)
end

-- The envelope of a request that does not fit: *complaint* is why, "field" which part of it.
function refusal.of_field(field, complaint)
  local message = text.quoted("The request does not fit: " .. complaint)
  return refusal.envelope(message, '"INVALID_ARGUMENT"', '{"field":' .. text.quoted(field) .. "}")
end

return refusal
