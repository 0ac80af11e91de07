--[[ What a request may say, before the transcoder reads it. ]]

local closing = require("closing")
local document = require("document")
local inward = require("inward")
local json = require("json")
local keeping = require("keeping")
local query = require("query")
local reply = require("reply")
local text = require("text")

local request = {}

local EVENTS = { [":status"] = "200", ["content-type"] = "text/event-stream" }  -- of a stream without its events

-- What a client that comes back has had last, said by its header where the service reads it: in the query. The header
-- is newer than what the address said from the beginning.
local function say_last_event(headers, path, sent)
  local last = headers:get("last-event-id")
  if not last then return end
  headers:remove("last-event-id")
  local parameters = { "last_event_id=" .. text.escaped(last) }
  for parameter in sent:gmatch("[^&]+") do
    if text.decoded(parameter:match("^[^=]*")) ~= "last_event_id" then parameters[#parameters + 1] = parameter end
  end
  headers:replace(":path", path .. "?" .. table.concat(parameters, "&"))
end

-- *body* with the names of *nulls* as cleared_fields; or nil, and the first that cannot be empty.
local function cleared(body, nulls, method)
  for _, name in ipairs(nulls) do
    if not method.clears[name] then return nil, name end
  end
  return body:gsub("}%s*$", ',"cleared_fields":["' .. table.concat(nulls, '","') .. '"]}')
end

local function read_body(handle, method)
  local body = handle:body()
  if not body or body:length() == 0 then return end
  local said = body:getBytes(0, body:length())
  if not method.body then return reply.refuse_field(handle, "body", "is not taken here") end
  local nulls, field, complaint = json.read(said, method.body)
  if not nulls then return reply.refuse_field(handle, field, complaint) end
  if method.closes then return closing.answer(handle, said) end
  if not method.clears or #nulls == 0 then return end
  local mended, name = cleared(said, nulls, method)
  if not mended then return reply.refuse_field(handle, name, "cannot be null") end
  handle:headers():replace("content-length", body:setBytes(mended))
end

-- Takes a request for *method*: refuses what does not fit, and makes the rest what the transcoder reads.
function request.take(handle, method)
  local headers = handle:headers()
  local path, sent = headers:get(":path"), ""
  local mark = path:find("?", 1, true)
  if mark then path, sent = path:sub(1, mark - 1), path:sub(mark + 1) end
  local field, complaint = query.unreadable(path, method)
  if not field and sent ~= "" then field, complaint = query.misfit(sent, method) end
  if field then return reply.refuse_field(handle, field, complaint) end
  if method.document then return document.answer(handle, method.document) end
  inward.fit(headers, method)
  if method.events then say_last_event(headers, path, sent) end
  read_body(handle, method)
  if method.head and method.events then return handle:respond(EVENTS, ":\n\n") end
  if method.head then handle:headers():replace(":method", "GET") end
  if method.kept then keeping.answer(handle, sent) end
end

return request
