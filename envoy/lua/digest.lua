--[[ The name under which a pool remembers a draw: BLAKE2b (RFC 7693), 16 bytes, of at most 128 bytes of text. ]]

local bit, ffi = require("bit"), require("ffi")

local bxor, ror, rshift, band = bit.bxor, bit.ror, bit.rshift, bit.band
local byte = string.byte
local words = ffi.typeof("uint64_t[16]")

local digest = {}

local IV = ffi.new("uint64_t[8]", {
  0x6a09e667f3bcc908ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL, 0xa54ff53a5f1d36f1ULL,
  0x510e527fade682d1ULL, 0x9b05688c2b3e6c1fULL, 0x1f83d9abfb41bd6bULL, 0x5be0cd19137e2179ULL,
})
local SIGMA = {
  { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, { 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
  { 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 }, { 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
  { 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 }, { 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
  { 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 }, { 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
  { 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 }, { 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
}
local LANES = {
  { 0, 4, 8, 12 }, { 1, 5, 9, 13 }, { 2, 6, 10, 14 }, { 3, 7, 11, 15 },
  { 0, 5, 10, 15 }, { 1, 6, 11, 12 }, { 2, 7, 8, 13 }, { 3, 4, 9, 14 },
}
local BYTES = 16
local ROUNDS = 12

local function mix(v, lane, x, y)
  local a, b, c, d = lane[1], lane[2], lane[3], lane[4]
  v[a] = v[a] + v[b] + x
  v[d] = ror(bxor(v[d], v[a]), 32)
  v[c] = v[c] + v[d]
  v[b] = ror(bxor(v[b], v[c]), 24)
  v[a] = v[a] + v[b] + y
  v[d] = ror(bxor(v[d], v[a]), 16)
  v[c] = v[c] + v[d]
  v[b] = ror(bxor(v[b], v[c]), 63)
end

local function message_of(text)
  local m = words()
  for at = 1, #text do
    local word = rshift(at - 1, 3)
    m[word] = m[word] + bit.lshift(0ULL + byte(text, at), 8 * band(at - 1, 7))
  end
  return m
end

-- The first three little-endian 32-bit numbers of the digest of *text*.
function digest.numbers(text)
  local m, v = message_of(text), words()
  for i = 0, 7 do
    v[i], v[i + 8] = IV[i], IV[i]
  end
  local first = bxor(IV[0], 0x01010000ULL + BYTES)
  v[0], v[12], v[14] = first, bxor(v[12], 0ULL + #text), bit.bnot(v[14])
  for round = 0, ROUNDS - 1 do
    local order = SIGMA[round % 10 + 1]
    for i = 1, 8 do mix(v, LANES[i], m[order[2 * i - 1]], m[order[2 * i]]) end
  end
  local h0, h1 = bxor(first, v[0], v[8]), bxor(IV[1], v[1], v[9])
  local low = 0xffffffffULL
  return tonumber(band(h0, low)), tonumber(rshift(h0, 32)), tonumber(band(h1, low))
end

return digest
