"""
Confirmed wins: where a pool asks for it, a win is told to nobody before it is in Postgres.

Whoever has one to tell waits here. All waits of a process are looked up together: when the recorder
says that it has committed, and now and then in case that word was lost. What counts is the row in
Postgres, not the recorder's position: after a rebuild that lies past draws which were lost.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg
import structlog
from cachetools import LRUCache
from prometheus_client import Gauge, Histogram
from redis.asyncio import Redis

from services.common.errors import UnavailableError
from services.common.postgres import load_queries
from services.common.tasks import repeat
from services.pool.nudges import listen
from services.pool.store.keys import CONFIRM_CHANNEL

log = structlog.get_logger()
_queries: Any = load_queries(__file__)
UNCONFIRMED = Gauge("kuji_draw_unconfirmed_wins", "Wins that wait to be recorded before an answer")
CONFIRMED_S = Histogram(
    "kuji_draw_confirm_seconds",
    "From a win to its confirmation by the database",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15),
)

_POSITIONS_KEPT = 10_000
_LOOKED_UP_AT_ONCE = 5_000
_NONE_WAITS_S = 30.0
_BEHIND = (
    "It was drawn, and cannot be confirmed at this moment. "
    "Ask again with the same request_id: it tells what was drawn."
)
_LOST = "This draw was lost before it was confirmed. Repeat it with the same request_id."


class UnconfirmedWin(NamedTuple):
    """A win to be confirmed: its place in the ledger, and whose it is."""

    seq: int
    user_id: int
    request_id: str


@dataclass(slots=True)
class _Wait:
    win: UnconfirmedWin
    since: float
    is_recorded: asyncio.Future[bool]


@dataclass(slots=True)
class _Due:
    """Which pools to look at, and when to look at all."""

    pools: set[int] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    all_at: float = 0.0

    def add(self, pool_id: int) -> None:
        self.pools.add(pool_id)
        self.woken.set()

    def begin(self, all_at: float) -> None:
        """From now on there is something to look at."""
        self.all_at = all_at
        self.woken.set()


class Confirmer:
    """
    Knows when wins are recorded.

    Args:
        postgres: Where they are recorded.
        redis: Where the recorder says that it has committed.
        patience_s: When a pool's oldest win has waited for so long, its next ones wait no more.
        max_waiting: Wins that may wait in this process; the next ones are not waited for.
        poll_s: How often to look without being told.
    """

    def __init__(
        self,
        postgres: asyncpg.Pool,
        redis: Redis,
        patience_s: float,
        max_waiting: int,
        poll_s: float = 0.5,
    ) -> None:
        self._postgres = postgres
        self._redis = redis
        self._patience_s = patience_s
        self._max_waiting = max_waiting
        self._poll_s = poll_s
        self._pools: dict[int, dict[int, _Wait]] = {}
        self._waiting = 0
        self._told: LRUCache[int, int] = LRUCache(_POSITIONS_KEPT)
        self._due = _Due()

    def is_behind(self, pool_id: int) -> bool:
        """Whether this pool's wins are not confirmed in time at this moment."""
        oldest = next(iter(self._pools.get(pool_id, {}).values()), None)
        return oldest is not None and _now() - oldest.since > self._patience_s

    async def confirm(self, pool_id: int, wins: Sequence[UnconfirmedWin]) -> None:
        """
        Return once *wins* are in Postgres; the caller bounds the wait.

        Raises:
            UnavailableError: They are not, for now or for good. Whoever asks again by the same
                request id learns which.
        """
        if self.is_behind(pool_id) or self._waiting + len(wins) > self._max_waiting:
            raise UnavailableError(_BEHIND, retry_after_ms=1000)
        waits = [self._wait_for(pool_id, win) for win in wins]
        for wait in waits:
            # Others may wait for the same: that this caller leaves is nothing to them.
            if not await asyncio.shield(wait.is_recorded):
                raise UnavailableError(_LOST)

    def _wait_for(self, pool_id: int, win: UnconfirmedWin) -> _Wait:
        wait = self._pools.get(pool_id, {}).get(win.seq)
        if wait is not None and wait.win != win:
            self._end(pool_id, wait, is_recorded=False)
            wait = None
        if wait is None:
            wait = _Wait(win, _now(), asyncio.get_running_loop().create_future())
            self._pools.setdefault(pool_id, {})[win.seq] = wait
            if not self._waiting:
                self._due.begin(_now() + self._poll_s)
            self._waiting += 1
            UNCONFIRMED.inc()
        if self._told.get(pool_id, 0) >= win.seq:
            self._due.add(pool_id)
        return wait

    async def watch_while_running(self) -> None:
        """Confirm what waits, until cancelled; Redis and Postgres may come and go."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(self._redis, CONFIRM_CHANNEL, self._note, self._look_at_all))
            tasks.create_task(repeat("confirm", self._look_when_due, every_s=0))

    def _note(self, message: bytes) -> None:
        """Take the recorder's word that a pool is recorded so far."""
        pool_id, seq = map(int, message.split())
        self._told[pool_id] = seq
        if pool_id in self._pools:
            self._due.add(pool_id)

    def _look_at_all(self) -> None:
        self._due.all_at = 0.0
        self._due.woken.set()

    async def _look_when_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s if self._waiting else _NONE_WAITS_S):
                await self._due.woken.wait()
        self._due.woken.clear()
        await self._look(list(self._take_due()))

    def _take_due(self) -> Iterator[tuple[int, int]]:
        """(pool, seq) of what is to be looked up now."""
        pools, self._due.pools = self._due.pools, set()
        for pool_id in pools:
            told = self._told.get(pool_id, 0)
            yield from ((pool_id, seq) for seq in self._pools.get(pool_id, ()) if seq <= told)
        if _now() >= self._due.all_at:
            self._due.all_at = _now() + self._poll_s
            # The oldest of a pool tells how far it is; the others follow when it has come on.
            yield from ((pool_id, next(iter(waits))) for pool_id, waits in self._pools.items())

    async def _look(self, due: Sequence[tuple[int, int]]) -> None:
        for at in range(0, len(due), _LOOKED_UP_AT_ONCE):
            pool_ids, seqs = zip(*due[at : at + _LOOKED_UP_AT_ONCE], strict=True)
            async for row in _queries.recorded_wins(self._postgres, pool_ids=pool_ids, seqs=seqs):
                self._settle(row)

    def _settle(self, row: asyncpg.Record) -> None:
        pool_id, seq, position, user_id, request_id = row
        waits = self._pools.get(pool_id, {})
        wait = waits.get(seq)
        if wait is None or seq > position:
            return
        is_recorded = (user_id, request_id) == (wait.win.user_id, wait.win.request_id)
        self._end(pool_id, wait, is_recorded)
        self._told[pool_id] = position
        if any(other <= position for other in self._pools.get(pool_id, ())):
            self._due.add(pool_id)

    def _end(self, pool_id: int, wait: _Wait, is_recorded: bool) -> None:
        if is_recorded:
            CONFIRMED_S.observe(_now() - wait.since)
        else:
            log.error("win lost before it was recorded", pool_id=pool_id, seq=wait.win.seq)
        wait.is_recorded.set_result(is_recorded)
        del self._pools[pool_id][wait.win.seq]
        if not self._pools[pool_id]:
            del self._pools[pool_id]
        self._waiting -= 1
        UNCONFIRMED.dec()


def _now() -> float:
    return asyncio.get_running_loop().time()
