"""Sheds draws before the store is full, and takes them again when it is not."""

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis

from services.common.errors import OverloadedError
from services.common.tasks import repeat

log = structlog.get_logger()
MEMORY_SHARE = Gauge("kuji_draw_store_memory_share", "Store memory used, of what draws may use")


class MemoryGuard:
    """
    Watches the store's memory.

    Args:
        redis: The store.
        max_bytes: What draws may fill; 0: nine tenths of the store's own maxmemory, if it has one.
    """

    def __init__(self, redis: Redis, max_bytes: int) -> None:
        self._redis = redis
        self._max_bytes = max_bytes
        self._full = False

    @property
    def is_full(self) -> bool:
        """Whether draws are shed."""
        return self._full

    def check(self) -> None:
        """OverloadedError while the store is too full for more draws."""
        if self._full:
            raise OverloadedError("The store is nearly full; nothing was drawn.")

    async def look(self) -> None:
        """See how full the store is."""
        info = await self._redis.info("memory")
        limit = self._max_bytes or int(info.get("maxmemory", 0)) * 9 // 10
        used = int(info["used_memory"])
        MEMORY_SHARE.set(used / limit if limit else 0)
        full = 0 < limit <= used
        if full != self._full:
            log.warning("draws shed" if full else "draws taken again", used=used, limit=limit)
        self._full = full

    async def look_while_running(self, every_s: float) -> None:
        """Keep looking until cancelled."""
        await repeat("store_memory", self.look, every_s)
