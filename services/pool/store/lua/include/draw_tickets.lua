-- draw_tickets: as services/pool/rule/draw_tickets.py has them.

-- Nil when an intent's ticket lets it draw; else why not, and the number that goes with it.
local function ticket_refusal(pool, ticket, now_ms)
  if ticket[TICKET_EXPIRES_MS] == 0 then
    return pool.config[CONFIG_TICKET_REQUIRED] and CODE_TICKET_REQUIRED or nil
  end
  if ticket[TICKET_OPENING_MS] ~= pool.opening_ms or now_ms >= ticket[TICKET_EXPIRES_MS] then
    return CODE_TICKET_EXPIRED
  end
  if ticket[TICKET_SOLVED_BITS] < ticket[TICKET_DIFFICULTY] then
    return CODE_PUZZLE_UNSOLVED, ticket[TICKET_DIFFICULTY]
  end
  local wait_ms = ticket[TICKET_NOT_BEFORE_MS] - now_ms
  if wait_ms > 0 then return CODE_TICKET_EARLY, wait_ms end
  return nil
end
