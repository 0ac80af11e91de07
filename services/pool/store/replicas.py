"""What has been written, on replicas of the store as well."""

import time

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.common.errors import UnavailableError
from services.pool.store.keys import REPLICATED, key

_KEEP_S = 3600  # of a key that has done its work when it is written
_REFUSE_S = 1.0
_UNCONFIRMED = (
    "No replica of the store has confirmed it in time, so what was drawn is not announced. "
    "Ask again with the same request_id."
)


class Replicas:
    """
    Waits for replicas.

    Args:
        redis: The primary.
        count: Replicas that must have it; on their disks, where the store can tell.
        timeout_s: Bound of the wait.
    """

    def __init__(self, redis: Redis, count: int, timeout_s: float) -> None:
        self._redis = redis
        self._count = count
        self._half_ms = int(timeout_s * 1000) // 2
        self._refused_until = 0.0
        self._pools: set[int] = set()

    def check(self, pool_id: int) -> None:
        """UnavailableError where this pool waits for replicas, and a moment ago there were none."""
        if pool_id in self._pools and time.monotonic() < self._refused_until:
            raise UnavailableError(_UNCONFIRMED, retry_after_ms=1000)

    def forget(self, pool_id: int) -> None:
        """This pool does not wait for replicas any more."""
        self._pools.discard(pool_id)

    async def confirm(self, pool_id: int) -> None:
        """
        Return once replicas have all that this pool has written, and been asked for, up to now.

        Raises:
            UnavailableError: They have not, in time.
        """
        self._pools.add(pool_id)
        if await self._acknowledgements(pool_id) < self._count:
            self._refused_until = time.monotonic() + _REFUSE_S
            raise UnavailableError(_UNCONFIRMED)

    async def _acknowledgements(self, pool_id: int) -> int:
        """
        How many replicas have what was written before this.

        The store waits for what the same connection wrote. The draws came by another one, or, of a
        replay, long before; but a replica that has a later write has theirs.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(key(pool_id, REPLICATED), 1, ex=_KEEP_S)
            pipe.execute_command("WAIT", self._count, self._half_ms)
            # A replica says what it has on disk with its next answer, else once a second: this one
            # asks right after the other, and does not wait for that second.
            pipe.execute_command("WAITAOF", 0, self._count, self._half_ms)
            written, received, fsynced = await pipe.execute(raise_on_error=False)
        if _is_unknown_command(fsynced):  # before Redis 7.2
            fsynced = (0, received)
        for reply in (written, received, fsynced):
            if isinstance(reply, Exception):
                raise reply
        return int(fsynced[1])


def _is_unknown_command(reply: object) -> bool:
    return isinstance(reply, ResponseError) and "unknown command" in str(reply)
