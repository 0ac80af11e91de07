--[[ Envoy's hooks. A route's name is the RPC that it leads to, or says why it leads nowhere. ]]

local answer = require("answer")
local closing = require("closing")
local document = require("document")
local keeping = require("keeping")
local methods = require("methods")
local refusal = require("refusal")
local reply = require("reply")
local request = require("request")

-- Runs *step*; a defect in it lets nothing pass.
local function guarded(step, handle, ...)
  local is_done, problem = pcall(step, handle, ...)
  if not is_done then handle:logErr(tostring(problem)) end
  return is_done
end

function envoy_on_request(handle)
  local route = handle:streamInfo():routeName()
  local method = methods[route]
  if not method then return reply.nowhere(handle, route) end
  if not guarded(request.take, handle, method) then reply.refuse(handle, "500", refusal.of("INTERNAL")) end
end

function envoy_on_response(handle)
  local route = handle:streamInfo():routeName()
  if route == "grpc" then return end  -- in gRPC's own words
  local method = methods[route]
  if method and method.document and handle:headers():get("etag") then return document.finish(handle:headers()) end
  if method and method.kept and keeping.is_kept(handle:headers()) then return end
  if method and method.closes and closing.is_own(handle:headers()) then return end
  if not guarded(answer.finish, handle, method, keeping.keep) then
    handle:headers():replace(":status", "500")
    handle:body(true):setBytes(refusal.of("INTERNAL"))
  end
end
