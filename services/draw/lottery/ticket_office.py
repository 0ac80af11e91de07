"""Where draw tickets are issued, and looked at before a draw."""

import asyncio
from typing import NamedTuple

from services.common.errors import (
    ActivityNotOngoingError,
    InvalidArgumentError,
    PoolNotLoadedError,
)
from services.draw.lottery.draw_tickets import LIFE_MS, TicketClaims, TicketSeal, solved_bits
from services.draw.pools import Pools
from services.pool.rule.terms import NO_TICKET, DrawTicket, Opening, PoolStatus, PoolStore


class IssuedTicket(NamedTuple):
    """A ticket, and what it says."""

    ticket: str
    claims: TicketClaims


class ShownTicket(NamedTuple):
    """
    What a user shows to draw.

    Args:
        request_id: The draw's name: the ticket, where there is one.
        pool_id: Where the ticket draws; 0: there is none.
        draw_ticket: For the atomic step.
    """

    request_id: str
    pool_id: int = 0
    draw_ticket: DrawTicket | None = NO_TICKET


class TicketOffice:
    """
    Issues tickets and looks at those shown. Nothing is kept of either.

    Args:
        seal: Makes tickets, and knows them again.
        pools: Finds the pool of an activity.
        store: Says whether it draws, and what it asks for.
    """

    def __init__(self, seal: TicketSeal, pools: Pools, store: PoolStore) -> None:
        self._seal = seal
        self._pools = pools
        self._store = store
        self._asking: dict[int, asyncio.Task[Opening | None]] = {}

    async def issue(self, activity_id: int, user_id: int) -> IssuedTicket:
        """
        A ticket for one draw of *user_id*; the caller bounds the wait.

        Args:
            activity_id: 0: the only one that is ongoing.
            user_id: Whose ticket it is.

        Raises:
            ActivityNotOngoingError: It does not draw at this moment.
            PoolNotLoadedError: It is not known whether it does.
        """
        pool_id = (await self._pools.of_activity(activity_id)).pool_id
        opening = await self._opening(pool_id)
        if opening is None:
            raise PoolNotLoadedError
        if opening.status is not PoolStatus.OPEN:
            raise ActivityNotOngoingError(opening.status.name.lower())
        claims = self._claims(pool_id, user_id, opening)
        return IssuedTicket(self._seal.issue(user_id, claims), claims)

    def look_at(self, user_id: int, ticket: str, solution: str, request_id: str) -> ShownTicket:
        """
        What these fields of a draw are worth; the atomic step decides what follows.

        Raises:
            TicketInvalidError: The ticket was not issued to *user_id*.
            InvalidArgumentError: The fields contradict each other.
        """
        if not ticket:
            if solution:
                raise InvalidArgumentError("solution", "A solution needs the ticket it solves.")
            return ShownTicket(request_id)
        if request_id not in ("", ticket):
            raise InvalidArgumentError("request_id", "The ticket is the request_id; leave it out.")
        pool_id, opening_ms, not_before_ms, expires_ms, difficulty = self._seal.read(
            user_id, ticket
        )
        bits = solved_bits(ticket, solution) if difficulty and solution else 0
        return ShownTicket(
            ticket, pool_id, DrawTicket(opening_ms, not_before_ms, expires_ms, difficulty, bits)
        )

    async def close(self) -> None:
        """Return when nothing is asked of the store any more."""
        if self._asking:
            await asyncio.wait(self._asking.values())

    def _claims(self, pool_id: int, user_id: int, opening: Opening) -> TicketClaims:
        now_ms, _, opening_ms, policy = opening
        start_ms = self._seal.start_ms(user_id, pool_id, opening_ms, policy.spread_ms)
        not_before_ms = max(now_ms, start_ms)
        return TicketClaims(
            pool_id, opening_ms, not_before_ms, not_before_ms + LIFE_MS, policy.difficulty
        )

    async def _opening(self, pool_id: int) -> Opening | None:
        """
        The pool's opening, asked for once at a time: a crowd costs the store no more than one.

        Who joins gets what held a moment ago. A ticket of an opening that is over draws nothing.
        """
        asking = self._asking.get(pool_id)
        if asking is None:
            asking = asyncio.get_running_loop().create_task(self._ask(pool_id))
            asking.add_done_callback(_take_note)
            self._asking[pool_id] = asking
        return await asyncio.shield(asking)

    async def _ask(self, pool_id: int) -> Opening | None:
        try:
            return await self._store.opening(pool_id)
        finally:
            del self._asking[pool_id]


def _take_note(asking: asyncio.Task[Opening | None]) -> None:
    """Who asked gets its error; where all of them have left, nobody does, and nothing is amiss."""
    if not asking.cancelled():
        asking.exception()
