"""Blocks in the atomic step: of users and addresses, on one server and in a cluster."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.pool.rule.terms import DrawCode
from services.pool.store.blocks import BlockList
from services.pool.store.keys import BLOCKED_NETWORKS, BLOCKS
from services.pool.store.redis_store import RedisStore
from stack.ports import free_port
from tests.support.draw_service import own_valkey
from tests.support.draws import NO_BACKLOG_BOUND, intent, odds
from tests.support.history import eventually

POOL = 1
CONFIG = odds((1000, 1_000_000_000))
DRAWN, BLOCKED = DrawCode.DRAWN, DrawCode.BLOCKED
HERE, THERE = "203.0.113.7", "198.51.100.1"
_PAST_MS, _FAR_MS = 1_000_000, 4_000_000_000_000


@pytest.fixture(params=["server", "cluster"])
async def redis(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Redis]:
    """A server by itself, and one that is a cluster of its own: a script's keys share a slot."""
    is_cluster = request.param == "cluster"
    own_port = "--cluster-port", str(free_port())
    options = ("--cluster-enabled", "yes", *own_port) if is_cluster else ()
    async with own_valkey(tmp_path, *options) as valkey, Redis.from_url(valkey.url) as redis:
        if is_cluster:
            await redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]

            async def is_whole() -> bool:
                reply = await redis.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
                return b"cluster_state:ok" in reply

            await eventually(is_whole)
        yield redis


class Process:
    """A draw process's view of the store; what the store lost is put back from *kept*."""

    def __init__(self, redis: Redis, kept: dict[int, int]) -> None:
        self.restored = 0

        async def restore(run_id: str) -> None:
            self.restored += 1
            await self.blocks.put_back(kept, {}, run_id)

        self.blocks = BlockList(redis, restore)
        self.store = RedisStore(redis, NO_BACKLOG_BOUND, blocks=self.blocks)
        self._draws = 0

    async def draw(self, *users_and_addresses: tuple[int, str]) -> list[DrawCode]:
        """What becomes of these, in one batch."""
        self._draws += 1
        intents = [
            intent(user, f"{id(self)}-{self._draws}-{place}")._replace(address=address)
            for place, (user, address) in enumerate(users_and_addresses)
        ]
        return [answer.code for answer in (await self.store.draw(POOL, intents)).answers]


async def test_block_holds_for_the_next_draw_of_every_process(redis: Redis) -> None:
    """Set in one, seen by the other: of a user, of a range, of both; lifted, and over."""
    one, other = Process(redis, {}), Process(redis, {})
    await one.store.configure(POOL, 0, 1, CONFIG, "{}")
    batch = [(1, HERE), (2, THERE), (1, THERE), (3, "")]
    assert [DRAWN] * 4 == await other.draw(*batch)
    await one.blocks.set(1, 0)
    assert [BLOCKED, DRAWN, BLOCKED, DRAWN] == await other.draw(*batch)
    await one.blocks.set_network(ip_network("198.51.100.0/24"), _FAR_MS)
    assert [BLOCKED, BLOCKED, BLOCKED, DRAWN] == await other.draw(*batch)
    await one.blocks.set(1, _PAST_MS)  # the longer of two holds
    assert [DRAWN, BLOCKED, BLOCKED, DRAWN] == await other.draw(*batch)
    await other.blocks.set_network(ip_network("198.51.100.0/24"), None)
    assert [DRAWN] * 4 == await one.draw(*batch)


async def test_list_that_is_lost_is_put_back_before_anybody_draws(redis: Redis) -> None:
    """By the draw that finds it gone, whole or in part; once, and not again while it is there."""
    process = Process(redis, {7: 0})
    await process.store.configure(POOL, 0, 1, CONFIG, "{}")
    for _ in range(2):
        assert [BLOCKED, DRAWN] == await process.draw((7, HERE), (8, HERE))
    assert 1 == process.restored
    await redis.delete(BLOCKS, BLOCKED_NETWORKS)
    assert [BLOCKED, DRAWN] == await process.draw((7, HERE), (8, HERE))
    await redis.hset(BLOCKS, "loaded", "another run")
    assert [BLOCKED, DRAWN] == await process.draw((7, HERE), (8, HERE))
    assert 3 == process.restored
