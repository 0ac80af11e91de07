"""Gauges of how far the records are behind the draws."""

import time
from collections.abc import Collection, Mapping
from typing import Never

from redis.asyncio import Redis

from services.common.tasks import repeat
from services.pool.store.keys import STATE, key
from services.pool.store.layout import StateField
from services.recorder import metrics
from services.recorder.held import HeldPool

_EVERY_S = 1.0


class LagGauges:
    """
    Measures the lag of the pools held, once a second.

    Redis is asked for those alone that have something read and not written. The others are read as
    soon as there is anything, so they have none.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._shown: set[int] = set()
        self._busy: set[int] = set()
        self._oldest_ms: dict[int, int] = {}

    async def run(self, held: Mapping[int, HeldPool]) -> Never:
        """Measure until cancelled."""
        await repeat("lag", lambda: self.measure(held), _EVERY_S)

    async def measure(self, held: Mapping[int, HeldPool]) -> None:
        """Set the gauges."""
        busy = {
            pool_id: pool
            for pool_id, pool in held.items()
            if not (pool.is_resting or pool.may_rest)
        }
        for pool, waiting in zip(busy.values(), await self._waiting(busy.values()), strict=True):
            self._show(pool, waiting)
        if self._oldest_ms:
            self._oldest_ms = {id_: ms for id_, ms in self._oldest_ms.items() if id_ in busy}
        if busy.keys() != self._busy or held.keys() != self._shown:
            self._show_others(set(held), set(busy))

    def _show_others(self, held: set[int], busy: set[int]) -> None:
        """Those with nothing to show, and those that are not held any more: thousands, perhaps."""
        for pool_id in held - busy - (self._shown - self._busy):
            metrics.LAG_DRAWS.labels(pool_id).set(0)
            metrics.LAG_S.labels(pool_id).set(0)
        self._remove(self._shown - held)
        self._shown, self._busy = held, busy

    async def _waiting(self, pools: Collection[HeldPool]) -> list[int]:
        """Draws of each pool that wait to be recorded, as its store has it."""
        if not pools:
            return []
        fields = [StateField.SEQ, StateField.SKIPPED, StateField.SKIPPED_TO]
        async with self._redis.pipeline(transaction=False) as pipe:
            for pool in pools:
                pipe.hmget(key(pool.pool_id, STATE), fields)
            states = [[int(field or 0) for field in state] for state in await pipe.execute()]
        return [_backlog(pool, *state) for pool, state in zip(pools, states, strict=True)]

    def _show(self, pool: HeldPool, waiting: int) -> None:
        # Between two attempts to write a batch there is none in hand.
        oldest_ms = pool.oldest_ms or self._oldest_ms.get(pool.pool_id, 0)
        if waiting:
            self._oldest_ms[pool.pool_id] = oldest_ms
        lag_s = max(0.0, time.time() - oldest_ms / 1000) if waiting and oldest_ms else 0.0
        metrics.LAG_DRAWS.labels(pool.pool_id).set(waiting)
        metrics.LAG_S.labels(pool.pool_id).set(lag_s)

    @staticmethod
    def _remove(pool_ids: set[int]) -> None:
        for pool_id in pool_ids:
            metrics.LAG_DRAWS.remove(pool_id)
            metrics.LAG_S.remove(pool_id)


def _backlog(pool: HeldPool, seq: int, skipped: int, skipped_to: int) -> int:
    """As lua/include/backlog.lua has it."""
    never_given = skipped if pool.recorded_seq < skipped_to else 0
    return max(0, seq - pool.recorded_seq - never_given)
