--[[ Documents that the edge gives by itself, as they were when Envoy started. ]]

local contract = require("contract")

local document = {}

local function content_of(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

local documents = {}
for name, known in pairs(contract.documents) do
  documents[name] = { tag = known.tag, plain = content_of(known.path), packed = content_of(known.path .. ".gz") }
end

-- Answers a GET or HEAD with document *name*; packed where the caller reads that.
function document.answer(handle, name)
  local headers, found = handle:headers(), documents[name]
  local answer = { [":status"] = "200", ["content-type"] = "application/json", etag = found.tag }
  local content = found.plain
  if headers:get("if-none-match") == found.tag then
    answer[":status"], content = "304", nil
  elseif (headers:get("accept-encoding") or ""):find("gzip", 1, true) then
    answer["content-encoding"], content = "gzip", found.packed
  end
  handle:respond(answer, content)
end

-- What caches on the way may do with it.
function document.finish(headers)
  headers:replace("cache-control", "public, max-age=300")
  headers:replace("vary", "accept-encoding, origin")
end

return document
