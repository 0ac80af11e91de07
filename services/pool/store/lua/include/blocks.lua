--[[ blocks: who may not draw, and until when, ms; 0: for good. A cluster has the list elsewhere:
there the caller has looked, and says all that he found. ]]

local function later_of(one, other)
  if one == 0 or other == 0 then return 0 end
  return math.max(one or other, other)
end

-- Place of an intent -> until when it may not draw: as given, by addresses, and by users.
-- Nil: the list is not what it was for whoever found what is given.
local function blocked_until(user_ids, given, list_is)
  local blocked = {}
  for _, block in ipairs(given) do
    blocked[block[BLOCKED_PLACE]] = block[BLOCKED_UNTIL_MS]
  end
  if not KEY_KUJI_BLOCKS then return blocked end
  local loaded, networks = unpack(
    redis.call('HMGET', KEY_KUJI_BLOCKS, BLOCKS_LOADED, BLOCKS_NETWORKS))
  local is_loaded = not list_is[LIST_LOADED] or list_is[LIST_LOADED] == loaded
  if not is_loaded or (list_is[LIST_NETWORKS] or false) ~= networks then return nil end
  local others = (loaded and 1 or 0) + (networks and 1 or 0)
  if redis.call('HLEN', KEY_KUJI_BLOCKS) == others then return blocked end
  for i, of_user in ipairs(redis.call('HMGET', KEY_KUJI_BLOCKS, unpack(user_ids))) do
    if of_user then blocked[i] = later_of(blocked[i], tonumber(of_user)) end
  end
  return blocked
end
