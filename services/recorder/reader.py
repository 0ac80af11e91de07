"""Reads the ledgers of many pools over one connection."""

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis

from services.pool.store.keys import ledger_key
from services.recorder.held import HeldPool
from services.recorder.settings import RecorderSettings

_BLOCK_WHILE_FULL_MS = 10


class LedgerReader:
    """Queues new ledger entries on their pools."""

    def __init__(self, redis: Redis, settings: RecorderSettings) -> None:
        self._redis = redis
        self._settings = settings

    async def read(self, pools: Iterable[HeldPool], block_ms: int) -> list[HeldPool]:
        """
        Wait up to *block_ms* for entries of *pools*, and queue them.

        Returns:
            The pools that have got some. A pool with enough waiting is not read.
        """
        live = [pool for pool in pools if not pool.is_lost]
        hungry = {
            ledger_key(pool.pool_id).encode(): pool
            for pool in live
            if pool.waiting_draws < self._settings.read_ahead_draws
        }
        if len(hungry) < len(live):
            block_ms = min(block_ms, _BLOCK_WHILE_FULL_MS)
        if not hungry:
            await asyncio.sleep(block_ms / 1000)
            return []
        return self._queue(hungry, await self._xread(hungry, block_ms))

    async def _xread(self, pools: dict[bytes, HeldPool], block_ms: int) -> Any:  # noqa: ANN401
        starts = {key: "{}-{}".format(*pool.read_to) for key, pool in pools.items()}
        return await self._redis.xread(
            starts,  # type: ignore[arg-type]  # a dict of bytes is not seen as one of its unions
            count=self._settings.read_entries,
            block=block_ms,
        )

    def _queue(
        self,
        pools: dict[bytes, HeldPool],
        reply: Any,  # noqa: ANN401
    ) -> list[HeldPool]:
        for pool in pools.values():
            pool.has_more = False  # of those that are not in the reply
        for key, entries in reply:
            pools[key].has_more = len(entries) >= self._settings.read_entries
            for raw in entries:
                pools[key].push(raw)
        return [pools[key] for key, _ in reply]
