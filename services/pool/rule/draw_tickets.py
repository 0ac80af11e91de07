"""Draw tickets in the atomic step, as lua/include/draw_tickets.lua has them."""

from services.pool.rule.terms import Answer, DrawCode, DrawTicket, TicketPolicy


def ticket_refusal(
    policy: TicketPolicy, opening_ms: int, ticket: DrawTicket | None, now_ms: int
) -> Answer | None:
    """
    None when *ticket* lets its user draw now; else the answer that refuses.

    A ticket is held against what it says itself, so a change of the policy's puzzle holds for
    those issued from then on. One that nobody asked for is looked at all the same.
    """
    if ticket is None:
        return None
    if not ticket.expires_ms:
        return Answer(DrawCode.TICKET_REQUIRED) if policy.required else None
    if ticket.opening_ms != opening_ms or now_ms >= ticket.expires_ms:
        return Answer(DrawCode.TICKET_EXPIRED)
    if ticket.solved_bits < ticket.difficulty:
        return Answer(DrawCode.PUZZLE_UNSOLVED, detail=ticket.difficulty)
    if now_ms < ticket.not_before_ms:
        return Answer(DrawCode.TICKET_EARLY, detail=ticket.not_before_ms - now_ms)
    return None
