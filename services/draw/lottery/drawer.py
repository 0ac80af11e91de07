"""One draw for a caller: from a wish to a result, or to the error that says why not."""

import secrets

from services.common.errors import TicketInvalidError
from services.draw.batcher import Batcher
from services.draw.confirmation import Confirmer
from services.draw.deadlines import reply_by
from services.draw.guard import MemoryGuard
from services.draw.lottery.confirmed import must_wait, win_of
from services.draw.lottery.requests import WantedDraw
from services.draw.lottery.results import DrawResult, Results
from services.draw.pools import Pool, Pools
from services.draw.users import Users
from services.pool.rule import fairness
from services.pool.rule.terms import Answer, Drawing, Intent


class Drawer:
    """Draws for callers, one at a time."""

    def __init__(
        self,
        pools: Pools,
        batcher: Batcher,
        results: Results,
        confirmer: Confirmer,
        guard: MemoryGuard,
        users: Users,
    ) -> None:
        self._pools = pools
        self._batcher = batcher
        self._results = results
        self._confirmer = confirmer
        self._guard = guard
        self._users = users

    async def draw(self, wanted: WantedDraw) -> DrawResult:
        """
        Draw once; the caller bounds the wait.

        Args:
            wanted: Its request_id may be empty: then it gets one; its activity_id may be 0: then
                the one in which that request_id has drawn is meant, else the only ongoing one.
        """
        named = bool(wanted.request_id)
        self._guard.check()
        pool = await self._pool_of(wanted, named)
        intent = intent_of(pool, wanted)
        drawing = await self._batcher.draw(pool.pool_id, [intent])
        return await self.result_of(pool, intent, drawing, drawing.answers[0])

    async def result_of(
        self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer
    ) -> DrawResult:
        """
        What *answer* gave to *intent*, once it may be told; the caller bounds the wait.

        Raises:
            KujiError: See Results.of.
        """
        if must_wait(drawing, answer):
            await self._confirmer.confirm(pool.pool_id, [win_of(intent, answer)])
        return await self._results.of(pool, intent, drawing, answer)

    def result_at_hand(
        self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer
    ) -> DrawResult | None:
        """
        As result_of(), where nothing has to be waited for; None: something has to.

        Raises:
            KujiError: Nothing: it was refused.
        """
        if must_wait(drawing, answer):
            return None
        return self._results.at_hand(pool, intent, drawing, answer)

    async def check_user(self, user_id: int, remaining_s: float) -> None:
        """
        Raises where a service may not draw for this user: nothing was drawn.

        Raises:
            NotFoundError: There is no such user; UnavailableError: It cannot be found out.
        """
        refused = await self._users.refused([user_id], reply_by(remaining_s))
        if user_id in refused:
            raise refused[user_id]

    async def _pool_of(self, wanted: WantedDraw, named: bool) -> Pool:
        if wanted.ticket_pool_id:
            pool = await self._pools.of_id(wanted.ticket_pool_id)
            if wanted.activity_id not in (0, pool.activity_id):
                raise TicketInvalidError
            return pool
        if named and not wanted.activity_id:
            digest = fairness.request_digest(wanted.user_id, wanted.request_id)
            return await self._pools.of_request(digest)
        return await self._pools.of_activity(wanted.activity_id)


def intent_of(pool: Pool, wanted: WantedDraw) -> Intent:
    """The wish for one draw; it gets a name where its caller gave none."""
    return pool.intent(
        wanted.user_id,
        wanted.request_id or secrets.token_hex(16),
        1,
        draw_ticket=wanted.draw_ticket,
        address=wanted.address,
    )
