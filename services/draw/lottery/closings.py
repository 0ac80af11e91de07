"""What an edge is told of an activity that gives no draws."""

import asyncio
from typing import NamedTuple

from cachetools import LRUCache

from services.draw.pools import Pools
from services.pool.store.closings import Closed, Closing, Closings

_KEPT = 16  # filters of at most 4 MiB


class ToldClosing(NamedTuple):
    """
    Why an activity gives no draws; *drawn*: the request ids that have drawn, see Closings.drawn.
    """

    closing: Closing
    version: int
    drawn: bytes


class EdgeAdvice:
    """Tells edges of activities that give no draws; each filter is made once, however many ask."""

    def __init__(self, pools: Pools, closings: Closings) -> None:
        self._pools = pools
        self._closings = closings
        self._made: LRUCache[tuple[int, int], asyncio.Future[bytes]] = LRUCache(_KEPT)

    async def look(self, activity_id: int, known_version: int) -> ToldClosing:
        """
        Why *activity_id* gives no draws, and who has drawn unless *known_version* has that.

        Raises:
            ActivityNotFoundError: There is none.
        """
        pool_id = (await self._pools.of_activity(activity_id)).pool_id
        closing, version = closed = await self._closings.look(pool_id)
        if not closing or version == known_version:
            return ToldClosing(closing, version, b"")
        return ToldClosing(closing, version, await self._drawn(pool_id, closed))

    async def _drawn(self, pool_id: int, closed: Closed) -> bytes:
        # Begun while the pool was closed at that version: no user draws from it as long as that.
        name = (pool_id, closed.version)
        making = self._made.get(name)
        if making is None or (making.done() and (making.cancelled() or making.exception())):
            making = self._made[name] = asyncio.ensure_future(self._closings.drawn(pool_id))
        return await asyncio.shield(making)

    async def close(self) -> None:
        """Return when nothing is read of the store any more."""
        for making in self._made.values():
            making.cancel()
        await asyncio.gather(*self._made.values(), return_exceptions=True)
