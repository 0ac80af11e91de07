-- entry: what the ledger keeps of one call, linked to the entry before; needs chain and guard.

-- Also notes the link and the time in the pool's state, for write_pool.
local function write_entry(pool, batch, now_us, confirm)
  local state, id = pool.state, string.format('%d-0', pool.seq)
  local entry = cmsgpack.pack({ ms_of(now_us), pool.config[CONFIG_VERSION], batch.draws })
  state[STATE_CHAIN] = link(state[STATE_CHAIN], id, entry)
  state[STATE_CLOCK_US] = us_text(now_us)
  -- Codes are the winners' secrets: a field of their own, outside what is chained and exported.
  local fields = { ENTRY_DRAWS, entry, ENTRY_LINK, state[STATE_CHAIN],
    ENTRY_CODES, table.concat(batch.drawn[DRAWN_CODE_BYTES]) }
  if confirm == CONFIRM_RECORDED then
    table.insert(fields, ENTRY_AWAITED)
    table.insert(fields, 0)
  end
  if #batch.orders > 0 then
    table.insert(fields, ENTRY_ORDERS)
    table.insert(fields, table.concat(batch.orders))
  end
  redis.call('XADD', KEY_LEDGER, id, unpack(fields))
end
