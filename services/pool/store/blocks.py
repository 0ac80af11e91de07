"""Who may not draw, in any pool: a user, or a range of addresses; a block is one write."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from services.common.addresses import Network
from services.pool.rule.terms import Blocked, Intent
from services.pool.store.keys import BLOCKED_NETWORKS, BLOCKS
from services.pool.store.layout import BlockListState, BlocksField
from services.pool.store.networks import NO_NETWORKS, Networks, field_of, latest

_KEPT_MS = 3_600_000  # what has run out, since clocks differ


class BlockList:
    """
    Blocked users and ranges of addresses, for every process at once.

    The script looks at it in the same step in which it draws, and begins only where what this
    process knows of the list is what the list is: so a block holds for every draw that begins after
    it was set. In a Redis Cluster the script cannot, as its keys share a slot; there the process
    looks before each batch, and hands over what it finds.

    The ranges are read as a whole when they have changed, and kept here until then.

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
        self._networks = NO_NETWORKS
        self._networks_are: bytes | None = None
        self._reading = asyncio.Lock()
        self._restoring = asyncio.Lock()

    def by_address(self, intents: Sequence[Intent]) -> list[Blocked]:
        """Those of *intents* whose addresses are blocked, as far as it is known here."""
        return list(_blocked(intents, {}, self._networks)) if self._networks else []

    def state(self, run_id: str) -> BlockListState:
        """What the list has to be, for by_address() to be right in the store's run *run_id*."""
        loaded = None if self._restore is None else run_id
        networks = None if self._networks_are is None else self._networks_are.decode()
        return BlockListState(loaded, networks)

    async def learn(self, run_id: str) -> None:
        """Know the list as it is in the store's run *run_id*; it is put back where it is lost."""
        await self.of((), run_id)

    async def of(self, intents: Sequence[Intent], run_id: str) -> list[Blocked]:
        """Those of *intents* that are blocked, in the store's run *run_id*: it is looked at now."""
        users = list(dict.fromkeys(intent.user_id for intent in intents))
        loaded, named, *untils = await self._look(users)
        if loaded != run_id.encode() and self._restore is not None:
            await self._put_back_once(self._restore, run_id)
            _, named, *untils = await self._look(users)
        networks = await self._networks_named(named)
        of_user = {user: int(until) for user, until in zip(users, untils, strict=True) if until}
        if not (of_user or networks):
            return []
        return list(_blocked(intents, of_user, networks))

    async def _put_back_once(self, restore: Callable[[str], Awaitable[None]], run_id: str) -> None:
        """Of many that find the list lost at once, one puts it back."""
        async with self._restoring:
            loaded, *_ = await self._look(())
            if loaded != run_id.encode():
                await restore(run_id)

    async def _look(self, users: Iterable[int]) -> list[bytes | None]:
        fields = [BlocksField.LOADED, BlocksField.NETWORKS, *map(str, users)]
        return cast(list[bytes | None], await self._redis.hmget(BLOCKS, fields))

    async def _networks_named(self, name: bytes | None) -> Networks:
        """The ranges, no older than *name*; of many that ask at once, one reads."""
        if name == self._networks_are:
            return self._networks
        async with self._reading:
            if name != self._networks_are:
                fields: Any = await self._redis.hgetall(BLOCKED_NETWORKS) if name else {}
                self._networks = Networks(
                    {field.decode(): int(until) for field, until in fields.items()}
                )
                self._networks_are = name
            return self._networks

    async def set(self, user_id: int, until_ms: int | None) -> None:
        """Block a user until *until_ms* (0: for good), or lift the block (None)."""
        if until_ms is None:
            await self._redis.hdel(BLOCKS, str(user_id))
        else:
            await self._redis.hset(BLOCKS, str(user_id), str(until_ms))

    async def set_network(self, network: Network, until_ms: int | None) -> None:
        """Block a range until *until_ms* (0: for good), or lift the block (None)."""
        _, named = await self._look(())
        gone = (await self._networks_named(named)).over(int(time.time() * 1000) - _KEPT_MS)
        field = field_of(network)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hdel(BLOCKED_NETWORKS, field, *gone)
            if until_ms is not None:
                pipe.hset(BLOCKED_NETWORKS, field, str(until_ms))
            pipe.hset(BLOCKS, BlocksField.NETWORKS, secrets.token_hex(8))
            await pipe.execute()

    async def put_back(
        self, users: Mapping[int, int], networks: Mapping[Network, int], run_id: str
    ) -> None:
        """
        Replace the list by the blocks that hold, as user id, or range → until_ms.

        Who changes a block meanwhile has to wait, so none is missed.
        """
        mapping: dict[Any, Any] = {
            BlocksField.LOADED: run_id,
            BlocksField.NETWORKS: secrets.token_hex(8),
        }
        mapping.update({str(user_id): until_ms for user_id, until_ms in users.items()})
        ranges: dict[Any, Any] = {field_of(one): until_ms for one, until_ms in networks.items()}
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(BLOCKS, BLOCKED_NETWORKS)
            if ranges:
                pipe.hset(BLOCKED_NETWORKS, mapping=ranges)
            pipe.hset(BLOCKS, mapping=mapping)
            await pipe.execute()


def _blocked(
    intents: Sequence[Intent], of_user: Mapping[int, int], networks: Networks
) -> Iterable[Blocked]:
    for place, intent in enumerate(intents, start=1):
        found = [*networks.untils_of(intent.address)] if networks and intent.address else []
        if intent.user_id in of_user:
            found.append(of_user[intent.user_id])
        if found:
            yield Blocked(place, latest(found))
