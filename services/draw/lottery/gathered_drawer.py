"""One draw for each of many callers who came at once: each hears of it as soon as it is known."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from services.common.tasks import outcome_of
from services.draw.batcher import Batcher
from services.draw.guard import MemoryGuard
from services.draw.lottery.drawer import Drawer, intent_of
from services.draw.lottery.requests import WantedDraw
from services.draw.lottery.results import DrawResult
from services.draw.pools import Pool, Pools
from services.draw.users import Users
from services.pool.rule.terms import Intent


class Ask(Protocol):
    """A draw that somebody asks for, until he was told, has left, or is too late."""

    @property
    def wanted(self) -> WantedDraw:
        """What is asked for."""

    @property
    def is_waiting(self) -> bool:
        """Whether somebody still asks."""

    def tell(self, outcome: DrawResult | Exception, /) -> None:
        """Answer with the result, or with the error that says why there is none."""

    def tell_apart(self, work: Callable[[], Awaitable[DrawResult]], /) -> None:
        """Tell what *work* gives or raises, once it does; it is cancelled when nobody waits."""


class GatheredDrawer:
    """
    Draws for callers who came together: one call of the batcher for those of a pool.

    Whoever has to wait for more than that is drawn for apart, so that nobody waits for him.
    """

    def __init__(
        self,
        drawer: Drawer,
        pools: Pools,
        batcher: Batcher,
        guard: MemoryGuard,
        users: Users,
        max_batch_draws: int,
    ) -> None:
        self._drawer = drawer
        self._pools = pools
        self._batcher = batcher
        self._guard = guard
        self._users = users
        self._max_batch_draws = max_batch_draws

    async def draw_each(self, asks: Sequence[Ask], deadline: float) -> None:
        """
        Draw once for each of *asks*; returns when all were told, or are told apart: each stops
        waiting by itself, and the store has a timeout of its own.

        Args:
            deadline: Of the last of them, by the event loop's time.
        """
        groups: defaultdict[int, list[Ask]] = defaultdict(list)
        pools: dict[int, Pool] = {}
        for ask in asks:
            pool = self._pool_at_hand(ask.wanted)
            if pool is None:
                ask.tell_apart(partial(self._draw_apart, ask.wanted, deadline))
            else:
                pools[pool.pool_id] = pool
                groups[pool.pool_id].append(ask)
        drawing = [
            self._draw_some(pools[pool_id], group[at : at + self._max_batch_draws])
            for pool_id, group in groups.items()
            for at in range(0, len(group), self._max_batch_draws)
        ]
        if len(drawing) == 1:  # as nearly always: no task for it
            await drawing[0]
            return
        async with asyncio.TaskGroup() as tasks:
            for some in drawing:
                tasks.create_task(some)

    def _pool_at_hand(self, wanted: WantedDraw) -> Pool | None:
        """The pool to draw from; None: something has to be waited for before the draw."""
        if wanted.is_by_service and self._users.are_required:
            return None
        if not wanted.ticket_pool_id:
            return self._pools.at_hand(wanted.activity_id)
        pool = self._pools.at_hand_by_id(wanted.ticket_pool_id)
        return pool if pool and wanted.activity_id in (0, pool.activity_id) else None

    async def _draw_apart(self, wanted: WantedDraw, deadline: float) -> DrawResult:
        if wanted.is_by_service:
            remaining_s = deadline - asyncio.get_running_loop().time()
            await self._drawer.check_user(wanted.user_id, remaining_s)
        return await self._drawer.draw(wanted)

    async def _draw_some(self, pool: Pool, asks: Sequence[Ask]) -> None:
        told = await outcome_of(self._drawn_and_told(pool, asks))
        if told is not None:  # of these alone: others go on
            for ask in asks:
                ask.tell(told)

    async def _drawn_and_told(self, pool: Pool, asks: Sequence[Ask]) -> None:
        sent = _Sent([(ask, intent_of(pool, ask.wanted)) for ask in asks])
        self._guard.check()
        drawing = await self._batcher.draw_wanted(pool.pool_id, sent.intents(), sent.cut)
        at_hand = self._drawer.result_at_hand
        for (ask, intent), answer in zip(sent.pairs, drawing.answers, strict=True):
            outcome: DrawResult | Exception | None
            try:
                outcome = at_hand(pool, intent, drawing, answer)
            except Exception as error:  # noqa: BLE001  # this caller gets it, and nobody else
                outcome = error
            if outcome is None:  # others are not to wait for what it takes
                ask.tell_apart(partial(self._drawer.result_of, pool, intent, drawing, answer))
            else:
                ask.tell(outcome)


class _Sent:
    """
    What is drawn together: those who no longer wait when it is sent are not drawn for.

    Args:
        pairs: Who asks, and for what.
    """

    def __init__(self, pairs: Sequence[tuple[Ask, Intent]]) -> None:
        self.pairs = pairs

    def intents(self) -> list[Intent]:
        """Of all of them."""
        return [intent for _, intent in self.pairs]

    def cut(self) -> list[Intent]:
        """Forget those who no longer wait; the intents of the others."""
        self.pairs = [pair for pair in self.pairs if pair[0].is_waiting]
        return self.intents()
