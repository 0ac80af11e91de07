"""Who may not draw, in any pool: one hash, so that a block is one write."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

from redis.asyncio import Redis

from services.pool.rule.terms import Blocked
from services.pool.store.keys import BLOCKS

# A field that is no user: the run of the store in which the list was put back. In another run it is
# lost, or may be older than what was answered.
_LOADED = "loaded"


class BlockList:
    """
    Blocked users, for every process at once.

    A process looks here before each batch of draws and hands what it finds to the script. So a
    block holds for every draw that begins after it was set, and a process that cannot look does
    not draw. It is no key of the script's: those of a pool share a slot of a Redis Cluster.

    Args:
        redis: A client that does not decode responses.
        restore: Puts a lost list back, by put_back(), in the run that it is given. None: what is
            lost counts as empty.
    """

    def __init__(
        self, redis: Redis, restore: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        self._redis = redis
        self._restore = restore

    async def of(self, user_ids: Iterable[int], run_id: str) -> list[Blocked]:
        """Those of *user_ids* that are blocked, in the store's run *run_id*."""
        users = list(dict.fromkeys(user_ids))
        loaded, *untils = await self._look(users)
        if loaded != run_id.encode() and self._restore is not None:
            await self._restore(run_id)
            _, *untils = await self._look(users)
        found = zip(users, untils, strict=True)
        return [Blocked(user_id, int(until)) for user_id, until in found if until is not None]

    async def _look(self, users: Iterable[int]) -> list[bytes | None]:
        fields = [_LOADED, *map(str, users)]
        return cast(list[bytes | None], await self._redis.hmget(BLOCKS, fields))

    async def set(self, user_id: int, until_ms: int | None) -> None:
        """Block a user until *until_ms* (0: for good), or lift the block (None)."""
        if until_ms is None:
            await self._redis.hdel(BLOCKS, str(user_id))
        else:
            await self._redis.hset(BLOCKS, str(user_id), str(until_ms))

    async def put_back(self, blocks: Mapping[int, int], run_id: str) -> None:
        """
        Replace the list by the blocks that hold, as user id → until_ms.

        Who changes a block meanwhile has to wait, so none is missed.
        """
        mapping: dict[Any, Any] = {_LOADED: run_id}
        mapping.update({str(user_id): until_ms for user_id, until_ms in blocks.items()})
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(BLOCKS)
            pipe.hset(BLOCKS, mapping=mapping)
            await pipe.execute()
