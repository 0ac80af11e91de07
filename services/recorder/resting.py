"""
Pools in which nothing happens: they wait together in a few reads that block.

Redis answers such a read the moment one of its ledgers grows. So thousands of pools cost a command
every few seconds, and the first draw of one that rested is read as soon as that of any other.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.common.tasks import end_if_cancelled
from services.recorder.held import HeldPool
from services.recorder.reader import LedgerReader

_GROUPS = 8  # a draw has the pools of its group named anew


@dataclass(slots=True)
class _Group:
    """What one read waits for; *settled*: what its next one will wait for, too."""

    resting: dict[int, HeldPool] = field(default_factory=dict)
    settled: dict[int, HeldPool] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class RestingPools:
    """
    The pools that rest.

    Args:
        reader: Reads their ledgers.
        block_ms: How long a read waits. So long is a pool that has come to rest read by others.
        on_fresh: Gets the pools that rest no more: each has got entries.
    """

    def __init__(
        self,
        reader: LedgerReader,
        block_ms: int,
        on_fresh: Callable[[Sequence[HeldPool]], None],
    ) -> None:
        self._reader = reader
        self._block_ms = block_ms
        self._on_fresh = on_fresh
        self._groups = [_Group() for _ in range(_GROUPS)]

    def lay(self, pool: HeldPool) -> None:
        """Let *pool* rest, from the next read of its group on; then its is_resting is set."""
        group = self._groups[pool.pool_id % _GROUPS]
        group.settled[pool.pool_id] = pool
        group.changed.set()

    async def watch(self) -> None:
        """Wait for entries until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for group in self._groups:
                tasks.create_task(self._watch(group))

    async def _watch(self, group: _Group) -> None:
        while True:
            await _take_in(group)
            fresh = await self._reader.read(group.resting.values(), self._block_ms)
            end_if_cancelled()
            for pool in fresh:
                pool.is_resting = False
                del group.resting[pool.pool_id]
            self._on_fresh(fresh)


async def _take_in(group: _Group) -> None:
    """Let what has settled rest; return once there is something to wait for."""
    while group.settled or not group.resting:
        await group.changed.wait()
        group.changed.clear()
        still = [pool for pool in group.settled.values() if pool.may_rest]
        group.settled.clear()
        for pool in still:
            pool.is_resting = True
            group.resting[pool.pool_id] = pool
