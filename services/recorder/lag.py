"""Gauges of how far the records are behind the draws."""

import time
from collections.abc import Mapping
from typing import Never

import asyncpg
from redis.asyncio import Redis

from services.common.postgres import load_queries
from services.common.tasks import repeat
from services.pool.store.keys import STATE, key
from services.pool.store.layout import StateField
from services.recorder import metrics
from services.recorder.held import HeldPool

_queries = load_queries(__file__)
_EVERY_S = 1.0


class LagGauges:
    """Measures the lag of the pools held, once a second."""

    def __init__(self, postgres: asyncpg.Pool, redis: Redis) -> None:
        self._postgres = postgres
        self._redis = redis
        self._shown: set[int] = set()

    async def run(self, held: Mapping[int, HeldPool]) -> Never:
        """Measure until cancelled."""
        await repeat("lag", lambda: self.measure(held), _EVERY_S)

    async def measure(self, held: Mapping[int, HeldPool]) -> None:
        """Set the gauges."""
        metrics.HALTED_POOLS.set(await _queries.count_halted_pools(self._postgres))
        pools = list(held.values())
        for pool, drawn in zip(pools, await self._drawn(pools), strict=True):
            _show(pool, drawn)
        self._remove(self._shown - held.keys())
        self._shown = set(held)

    async def _drawn(self, pools: list[HeldPool]) -> list[int]:
        """Newest draw of each pool, as its store has it."""
        if not pools:
            return []
        async with self._redis.pipeline(transaction=False) as pipe:
            for pool in pools:
                pipe.hget(key(pool.pool_id, STATE), StateField.SEQ)
            return [int(seq or 0) for seq in await pipe.execute()]

    @staticmethod
    def _remove(pool_ids: set[int]) -> None:
        for pool_id in pool_ids:
            metrics.LAG_DRAWS.remove(pool_id)
            metrics.LAG_MS.remove(pool_id)


def _show(pool: HeldPool, drawn: int) -> None:
    lag_ms = max(0, int(time.time() * 1000) - pool.oldest_ms) if pool.oldest_ms else 0
    metrics.LAG_DRAWS.labels(pool.pool_id).set(max(0, drawn - pool.recorded_seq))
    metrics.LAG_MS.labels(pool.pool_id).set(lag_ms)
