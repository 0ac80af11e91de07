--[[ What the draw service says of an activity that gives no draws: asked by gRPC, see PoolService.GetClosing. ]]

local contract = require("contract")

local byte, char, sub = string.byte, string.char, string.sub

local advice = {}

local HEADERS = {
  [":method"] = "POST", [":path"] = "/kuji.draw.v1.PoolService/GetClosing", [":authority"] = "draw",
  ["content-type"] = "application/grpc", te = "trailers", ["grpc-timeout"] = "2S", ["x-kuji-edge"] = contract.edge_secret,
}
local TIMEOUT_MS = 2000
local FRAME_BYTES = 5
local CLOSING, VERSION, DRAWN = 1, 2, 3  -- fields of the answer

local function varint(number)
  local bytes = {}
  while number >= 128 do
    bytes[#bytes + 1] = char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  return table.concat(bytes) .. char(number)
end

-- The number at *at*, and the position behind it.
local function read_varint(message, at)
  local number, scale = 0, 1
  local code = byte(message, at)
  while code and code >= 128 do
    number, scale, at = number + (code - 128) * scale, scale * 128, at + 1
    code = byte(message, at)
  end
  return number + (code or 0) * scale, at + 1
end

-- Field -> its number or bytes.
local function fields_of(message)
  local fields, at = {}, 1
  while at <= #message do
    local tag, value
    tag, at = read_varint(message, at)
    value, at = read_varint(message, at)
    if tag % 8 == 2 then
      value, at = sub(message, at, at + value - 1), at + value
    end
    fields[math.floor(tag / 8)] = value
  end
  return fields
end

-- Why activity *id* gives no draws (0: it does), its version, and the filter of those who have drawn, "" where that is
-- of *known_version*. Nil: it cannot be found out now. Waits.
function advice.ask(handle, id, known_version)
  local message = char(8) .. varint(id) .. (known_version > 0 and char(16) .. varint(known_version) or "")
  local frame = char(0, 0, 0, 0, #message) .. message
  local headers, answer = handle:httpCall("draw", HEADERS, frame, TIMEOUT_MS)
  if headers[":status"] ~= "200" or not answer or #answer < FRAME_BYTES then return nil end
  local fields = fields_of(sub(answer, FRAME_BYTES + 1))
  return fields[CLOSING] or 0, fields[VERSION] or 0, fields[DRAWN] or ""
end

return advice
