"""
Batching without a timer: while one script call of a pool is in flight, its draws gather.

An idle pool draws at once; a busy one draws in ever larger batches that share one fsync. Once a
batch is as large as they get, it does not wait for the one in flight. Where several came together,
more are on their way: the next batch first lets the event loop turn, so that what has arrived
already gets here. With nothing else to do, that is a tenth of a millisecond.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from prometheus_client import Gauge, Histogram

from services.common.errors import OverloadedError
from services.common.tasks import outcome_of
from services.pool.rule.terms import Drawing, Intent, PoolStore

BATCH_DRAWS = Histogram(
    "kuji_draw_batch_draws",
    "Draws in one script call",
    buckets=(1, 2, 5, 10, 25, 50, 100, 200, 400),
)
STORE_S = Histogram(
    "kuji_draw_store_seconds",
    "From sending a batch to the store to its answer",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
PENDING = Gauge("kuji_draw_pending_draws", "Draws that wait in this process for their batch")


# See docs/performance.md, M1: a third more draws a second at 64 calls in flight.
_GATHER_TURNS = 40
# Calls of a pool at a time: a second one goes only when it is full. The store then has work while
# this process reads and writes answers.
_IN_FLIGHT = 2


@dataclass(slots=True)
class WaitingDraw:
    """
    What is drawn together, and who waits for it.

    Args:
        wanted: Says, as its batch is cut, what is wanted by then; None: what was at first.
    """

    intents: Sequence[Intent]
    draws: int
    done: asyncio.Future[Drawing]
    wanted: Callable[[], Sequence[Intent]] | None = None

    def cut(self) -> bool:
        """Settle what is drawn; False: nobody waits for any of it any more."""
        if self.done.done():
            return False
        if self.wanted is not None:
            self.intents = self.wanted()
            self.draws = sum(intent.draws for intent in self.intents)
            if not self.intents:
                self.done.cancel()
                return False
        return True


@dataclass(slots=True)
class _Lane:
    """One pool's queue, and the tasks that empty it while there is something in it."""

    waiting: deque[WaitingDraw] = field(default_factory=deque)
    pending_draws: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class CountsOutcomes(Protocol):
    """Counts what became of draws."""

    def count(self, pool_id: int, drawing: Drawing) -> None:
        """Count the answers of a batch."""

    def count_unknown(self, pool_id: int, draws: int) -> None:
        """Count draws of which nobody knows what became."""


class _Uncounted:
    def count(self, pool_id: int, drawing: Drawing) -> None:
        pass

    def count_unknown(self, pool_id: int, draws: int) -> None:
        pass


class Batcher:
    """
    Gathers intents per pool and hands them to a store.

    Args:
        store: Where the pools are.
        max_batch_draws: Draws in one call of the store.
        max_pending_draws: Draws of a pool that may wait here, with those of all pools that wait to
            be sealed; beyond it OverloadedError.
        sealed: When what was drawn from a pool up to now may be answered; None: at once.
        outcomes: Counts them, a batch at a time.
    """

    def __init__(
        self,
        store: PoolStore,
        max_batch_draws: int,
        max_pending_draws: int,
        sealed: Callable[[int], asyncio.Future[None] | None] = lambda _: None,
        outcomes: CountsOutcomes | None = None,
    ) -> None:
        self._store = store
        self._max_batch_draws = max_batch_draws
        self._max_pending_draws = max_pending_draws
        self._sealed = sealed
        self._lanes: dict[int, _Lane] = {}
        self._own = copy_context()
        self._unsealed: set[asyncio.Future[None]] = set()
        self._unsealed_draws = 0
        self._outcomes = outcomes or _Uncounted()
        PENDING.set_function(self._pending)

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """
        The answers to *intents*, in order; they run in one atomic step.

        The caller bounds the wait. Cancelled before its batch was sent, nothing is drawn; after
        that, the outcome is unknown.

        Args:
            intents: At most max_batch_draws draws in all.

        Raises:
            OverloadedError: Too many wait already; nothing was done.
        """
        return await self._enqueue(pool_id, intents).done

    async def draw_wanted(
        self, pool_id: int, intents: Sequence[Intent], wanted: Callable[[], Sequence[Intent]]
    ) -> Drawing:
        """
        As draw(), for several callers, each of whom may leave before their batch is sent.

        Args:
            intents: What they want now.
            wanted: Says, when the batch is sent, which of these still are; they are answered.

        Raises:
            OverloadedError: As draw() does; CancelledError: none was wanted any more.
        """
        waiting = self._enqueue(pool_id, intents)
        waiting.wanted = wanted
        return await waiting.done

    async def close(self) -> None:
        """Return when everything accepted is answered."""
        while tasks := [task for lane in self._lanes.values() for task in lane.tasks]:
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._unsealed:
            await asyncio.wait(self._unsealed)

    def _pending(self) -> int:
        return sum(lane.pending_draws for lane in list(self._lanes.values()))

    def _enqueue(self, pool_id: int, intents: Sequence[Intent]) -> WaitingDraw:
        lane = self._lanes.setdefault(pool_id, _Lane())
        draws = sum(intent.draws for intent in intents)
        if lane.pending_draws + self._unsealed_draws + draws > self._max_pending_draws:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        waiting = WaitingDraw(intents, draws, loop.create_future())
        lane.waiting.append(waiting)
        lane.pending_draws += draws
        if not lane.tasks or (self._is_full(lane) and len(lane.tasks) < _IN_FLIGHT):
            self._begin(pool_id, lane)
        return waiting

    def _begin(self, pool_id: int, lane: _Lane) -> None:
        # What it does is for many, not for who came first: it has neither his trace nor logs.
        emptying = self._empty(pool_id, lane)
        loop = asyncio.get_running_loop()
        lane.tasks.add(loop.create_task(emptying, context=self._own.copy()))

    def _is_full(self, lane: _Lane) -> bool:
        """Whether the next call is as large as calls get: then it gains nothing by waiting."""
        return lane.pending_draws >= self._max_batch_draws

    async def _empty(self, pool_id: int, lane: _Lane) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            # What would not be full goes with the next call, once the one in flight is over.
            while len(lane.tasks) == 1 or self._is_full(lane):
                batch = self._next_batch(lane)
                if not batch:
                    break
                await self._answered(pool_id, batch)
                if len(batch) > 1 and len(lane.tasks) == 1:
                    await self._gather(lane)
        finally:
            # Nothing awaits between the last look and here: no draw can slip in between.
            lane.tasks.remove(task)
            if not lane.tasks:
                self._lanes.pop(pool_id, None)
                _fail(lane.waiting, ConnectionAbortedError("this process ends"))

    async def _answered(self, pool_id: int, batch: list[WaitingDraw]) -> None:
        try:
            await self._run(pool_id, batch)
        except Exception as error:  # noqa: BLE001  # a defect: it is theirs, the lane goes on
            _fail(batch, error)

    async def _gather(self, lane: _Lane) -> None:
        for _ in range(_GATHER_TURNS):
            if self._is_full(lane):
                return
            await asyncio.sleep(0)

    def _next_batch(self, lane: _Lane) -> list[WaitingDraw]:
        batch: list[WaitingDraw] = []
        draws = 0
        while lane.waiting and draws + lane.waiting[0].draws <= self._max_batch_draws:
            waiting = lane.waiting.popleft()
            lane.pending_draws -= waiting.draws
            if waiting.cut():
                batch.append(waiting)
                draws += waiting.draws
        return batch

    async def _run(self, pool_id: int, batch: list[WaitingDraw]) -> None:
        intents = [intent for waiting in batch for intent in waiting.intents]
        draws = sum(waiting.draws for waiting in batch)
        BATCH_DRAWS.observe(draws)
        drawing = await outcome_of(self._drawn(pool_id, intents))
        if isinstance(drawing, Exception):  # each caller gets it, and maps it
            self._outcomes.count_unknown(pool_id, draws)
            _fail(batch, drawing)
            return
        self._outcomes.count(pool_id, drawing)
        sealed = self._sealed(pool_id)
        if sealed is None:
            _distribute(batch, drawing)
        else:  # the next batch does not wait for it
            self._unsealed.add(sealed)
            self._unsealed_draws += draws
            sealed.add_done_callback(partial(self._tell, batch, draws, drawing))

    async def _drawn(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        with STORE_S.time():
            return await self._store.draw(pool_id, intents)

    def _tell(
        self,
        batch: Sequence[WaitingDraw],
        draws: int,
        drawing: Drawing,
        sealed: asyncio.Future[None],
    ) -> None:
        self._unsealed.discard(sealed)
        self._unsealed_draws -= draws
        error = sealed.exception()
        if isinstance(error, Exception):
            _fail(batch, error)
        else:
            _distribute(batch, drawing)


def _fail(batch: Iterable[WaitingDraw], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)


def _distribute(batch: Sequence[WaitingDraw], drawing: Drawing) -> None:
    at = 0
    now_ms, version, answers, chain, confirm, clock_us = drawing
    for waiting in batch:
        some = answers[at : at + len(waiting.intents)]
        at += len(waiting.intents)
        if not waiting.done.done():
            waiting.done.set_result(Drawing(now_ms, version, some, chain, confirm, clock_us))
