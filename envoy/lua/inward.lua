--[[ The headers that go inward: a gRPC server refuses a call for one that it cannot read. ]]

local find = string.find

local inward = {}

-- name → the longest value; 0: any, for Envoy reads or writes it.
local KNOWN = {
  [":authority"] = 0, [":method"] = 0, [":path"] = 0, [":scheme"] = 0,
  ["accept-encoding"] = 0, ["content-length"] = 0, ["content-type"] = 0, ["transfer-encoding"] = 0,
  ["x-request-id"] = 0,
  ["authorization"] = 4096, ["if-match"] = 128, ["last-event-id"] = 128, ["user-agent"] = 256,
}

-- Takes off all other *headers*, and the token where *method* needs none: a stale one must not spoil the call.
function inward.only(headers, method)
  local others, count = {}, 0
  for name, value in pairs(headers) do
    local longest = KNOWN[name]
    if longest ~= 0 and (not longest or #value > longest or find(value, "[^\32-\126]")) then
      count = count + 1
      others[count] = name
    end
  end
  for at = 1, count do headers:remove(others[at]) end
  if method.public then headers:remove("authorization") end
end

return inward
