--[[ chain: each entry of the ledger is bound to all before it. Whoever holds a later link can
tell whether an earlier entry was changed, removed or moved. Redis offers SHA-1 alone; what it
must withstand is a second preimage. ]]
local function link(before, id, content)
  return redis.sha1hex((before or '') .. id .. content)
end
