"""Many draws for callers at once: each has its own outcome, and none spoils another's."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from services.common.errors import KujiError
from services.common.failures import to_kuji_error
from services.draw.batcher import Batcher
from services.draw.confirmation import Confirmer
from services.draw.deadlines import reply_by
from services.draw.guard import MemoryGuard
from services.draw.lottery.confirmed import must_wait, win_of
from services.draw.lottery.requests import Element, WantedDraw
from services.draw.lottery.results import DrawResult, Results
from services.draw.pools import Pool, Pools
from services.draw.users import Users
from services.pool.rule.terms import Answer, Confirm, Drawing, Intent

Outcome = DrawResult | KujiError
_Asked = tuple[Intent, Answer]


class BatchDrawer:
    """Draws for callers, many at a time."""

    def __init__(
        self,
        pools: Pools,
        batcher: Batcher,
        results: Results,
        confirmer: Confirmer,
        guard: MemoryGuard,
        users: Users,
        max_batch_draws: int,
    ) -> None:
        self._pools = pools
        self._batcher = batcher
        self._results = results
        self._confirmer = confirmer
        self._guard = guard
        self._users = users
        self._max_batch_draws = max_batch_draws

    async def draw_many(self, wanted: Sequence[Element], remaining_s: float) -> list[Outcome]:
        """
        Draw once for each of *wanted*; each gets its own result or error, in their order.

        Args:
            wanted: What cannot be drawn comes as the error that says why.
            remaining_s: How long the caller waits; what is not answered by then is unknown.
        """
        deadline = reply_by(remaining_s)
        wanted = await self._without_strangers(wanted, deadline)
        groups = _by_activity(wanted)
        for activity_id, group in groups.items():
            if len(group) == len(wanted):  # as nearly always
                return await self._draw_activity(activity_id, group, deadline)
        async with asyncio.TaskGroup() as tasks:
            drawing = {
                activity_id: tasks.create_task(self._draw_activity(activity_id, group, deadline))
                for activity_id, group in groups.items()
            }
        drawn = {activity_id: iter(task.result()) for activity_id, task in drawing.items()}
        return [
            one if isinstance(one, KujiError) else next(drawn[one.activity_id]) for one in wanted
        ]

    async def _without_strangers(
        self, wanted: Sequence[Element], deadline: float
    ) -> Sequence[Element]:
        if not self._users.are_required:
            return wanted
        user_ids = {one.user_id for one in wanted if not isinstance(one, KujiError)}
        refused = await self._users.refused(user_ids, deadline)
        if not refused:
            return wanted
        return [
            one if isinstance(one, KujiError) else refused.get(one.user_id, one) for one in wanted
        ]

    async def _draw_activity(
        self, activity_id: int, wanted: Sequence[WantedDraw], deadline: float
    ) -> list[Outcome]:
        try:
            async with asyncio.timeout_at(deadline):
                self._guard.check()
                pool = await self._pools.of_activity(activity_id)
        except Exception as error:  # noqa: BLE001  # these elements get it, and nobody else
            return _failed(error, len(wanted))
        async with asyncio.TaskGroup() as tasks:
            telling = []
            for chunk in _chunks(wanted, self._max_batch_draws):  # drawn in their order
                drawn = await self._drawn(pool, chunk, deadline)
                telling.append(tasks.create_task(self._told_of(pool, drawn, deadline)))
        return [outcome for told in telling for outcome in told.result()]

    async def _drawn(
        self, pool: Pool, wanted: Sequence[WantedDraw], deadline: float
    ) -> "_Drawn | list[Outcome]":
        try:
            async with asyncio.timeout_at(deadline):
                intents = [pool.intent(one.user_id, one.request_id, 1) for one in wanted]
                drawing = await self._batcher.draw(pool.pool_id, intents)
        except Exception as error:  # noqa: BLE001  # these elements get it, and nobody else
            return _failed(error, len(wanted))
        return _Drawn(drawing, list(zip(intents, drawing.answers, strict=True)))

    async def _told_of(
        self, pool: Pool, drawn: "_Drawn | list[Outcome]", deadline: float
    ) -> list[Outcome]:
        if not isinstance(drawn, _Drawn):
            return drawn
        drawing, asked = drawn
        if drawing.confirm is not Confirm.RECORDED:
            return await self._told(pool, drawing, asked, deadline)
        waits = [must_wait(drawing, answer) for answer in drawing.answers]
        at_once = [one for one, wait in zip(asked, waits, strict=True) if not wait]
        wins = [one for one, wait in zip(asked, waits, strict=True) if wait]
        told = iter(await self._told(pool, drawing, at_once, deadline))
        confirmed = iter(await self._confirmed(pool, drawing, wins, deadline))
        return [next(confirmed if wait else told) for wait in waits]

    async def _confirmed(
        self, pool: Pool, drawing: Drawing, wins: Sequence[_Asked], deadline: float
    ) -> list[Outcome]:
        try:
            async with asyncio.timeout_at(deadline):
                await self._confirmer.confirm(pool.pool_id, [win_of(*one) for one in wins])
        except Exception as error:  # noqa: BLE001  # these elements get it, and nobody else
            return _failed(error, len(wins))
        return await self._told(pool, drawing, wins, deadline)

    async def _told(
        self, pool: Pool, drawing: Drawing, asked: Sequence[_Asked], deadline: float
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        at_hand = self._results.at_hand
        try:
            async with asyncio.timeout_at(deadline):
                for intent, answer in asked:
                    outcome: Outcome | None
                    try:
                        outcome = at_hand(pool, intent, drawing, answer)
                    except Exception as error:  # noqa: BLE001  # this element gets it alone
                        outcome = to_kuji_error(error, "DrawBatch")
                    if outcome is None:
                        outcome = await self._outcome(pool, intent, drawing, answer)
                    outcomes.append(outcome)
        except TimeoutError as error:
            outcomes += _failed(error, len(asked) - len(outcomes))
        return outcomes

    async def _outcome(
        self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer
    ) -> Outcome:
        try:
            return await self._results.of(pool, intent, drawing, answer)
        except Exception as error:  # noqa: BLE001  # this element gets it, and nobody else
            return to_kuji_error(error, "DrawBatch")


class _Drawn(NamedTuple):
    """A chunk whose draws were answered by the script."""

    drawing: Drawing
    asked: Sequence[_Asked]


def _by_activity(wanted: Iterable[Element]) -> Mapping[int, Sequence[WantedDraw]]:
    groups: defaultdict[int, list[WantedDraw]] = defaultdict(list)
    for one in wanted:
        if not isinstance(one, KujiError):
            groups[one.activity_id].append(one)
    return groups


def _failed(error: Exception, count: int) -> list[Outcome]:
    return [to_kuji_error(error, "DrawBatch")] * count


def _chunks(wanted: Sequence[WantedDraw], size: int) -> Iterator[Sequence[WantedDraw]]:
    for at in range(0, len(wanted), size):
        yield wanted[at : at + size]
