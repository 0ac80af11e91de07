--[[ How the edge itself answers a request. ]]

local refusal = require("refusal")

local reply = {}

local LONGEST_FIELD = 100

-- Refuses with *envelope*, in words of its own: see the mappers of envoy.yaml.
function reply.refuse(handle, code, envelope, allowed)
  handle:body()  -- waits for the end of the request: Envoy closes the connection of one that it answers before
  handle:headers():replace("x-envoy-original-path", "/")
  handle:respond({ [":status"] = code, ["content-type"] = "application/json", allow = allowed }, envelope)
end

-- Refuses a request that does not fit: *field* is where, *complaint* why.
function reply.refuse_field(handle, field, complaint)
  if #field > LONGEST_FIELD then field = "body" end
  reply.refuse(handle, "400", refusal.of_field(field, field .. ": " .. complaint))
end

-- What the routes that lead nowhere answer, by their names.
local nowhere = { connect = "METHOD_NOT_ALLOWED", grpc = "NOT_FOUND", other_methods = "METHOD_NOT_ALLOWED",
  too_large = "PAYLOAD_TOO_LARGE", unknown = "NOT_FOUND" }
local CODES = { METHOD_NOT_ALLOWED = "405", NOT_FOUND = "404", PAYLOAD_TOO_LARGE = "413" }

-- Answers on *route*, which leads nowhere; "other_methods GET, HEAD" names those that its path has.
function reply.nowhere(handle, route)
  local name, allowed = route:match("^([%w_]+) ?(.*)$")
  local reason = nowhere[name]
  reply.refuse(handle, CODES[reason], refusal.of(reason), allowed ~= "" and allowed or nil)
end

return reply
