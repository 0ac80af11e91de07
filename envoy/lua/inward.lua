--[[ The values of the headers that go inward: a gRPC server refuses a call for one that it cannot read. The headers
that do not go inward are gone by now, see stack/edge/inward.py. ]]

local find = string.find

local inward = {}

-- name → the longest value; of the others that stay, Envoy reads or writes the values.
local LONGEST = { ["authorization"] = 4096, ["if-match"] = 128, ["last-event-id"] = 128, ["user-agent"] = 256 }

-- Takes off what of *headers* does not fit, the second value of a name, and the token where *method* needs none: a
-- stale one must not spoil the call.
function inward.fit(headers, method)
  if method.public then headers:remove("authorization") end
  for name, longest in pairs(LONGEST) do
    local value = headers:get(name)
    if value then
      if #value > longest or not find(value, "^[\32-\126]*$") then
        headers:remove(name)
      elseif headers:getNumValues(name) > 1 then
        headers:replace(name, value)
      end
    end
  end
end

return inward
