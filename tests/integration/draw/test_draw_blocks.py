"""The list of blocks: one for all pools, read before each batch, put back when lost."""

import asyncio

import asyncpg
import pytest
from redis.asyncio import Redis

from services.common.addresses import parse_network
from services.draw.blocks import open_blocks
from services.pool.rule.terms import Blocked
from services.pool.store.blocks import BlockList
from services.pool.store.keys import BLOCKED_NETWORKS, BLOCKS
from tests.support.draws import intent

_RUN = "a run of the store"
_SOON, _LATER = 4_000_000_000_000, 5_000_000_000_000


async def _of(blocks: BlockList, *users: int, run: str = _RUN) -> list[tuple[int, int]]:
    """(user, until) for those of *users* that are blocked."""
    found = await blocks.of([intent(user, "a") for user in users], run)
    return [(users[place - 1], until_ms) for place, until_ms in found]


async def _at(blocks: BlockList, *addresses: str, run: str = _RUN) -> list[tuple[str, int]]:
    """(address, until) for those of *addresses* from which nobody may draw."""
    intents = [intent(1, "a")._replace(address=address) for address in addresses]
    return [(addresses[place - 1], until) for place, until in await blocks.of(intents, run)]


async def _set(blocks: BlockList, text: str, until_ms: int | None = 0) -> None:
    network = parse_network(text)
    assert network is not None
    await blocks.set_network(network, until_ms)


async def _block(postgres: asyncpg.Pool, user_id: int, until: str = "NULL") -> None:
    await postgres.execute(
        f"INSERT INTO blocks (user_id, reason, until, created_by) VALUES ($1, '', {until}, 1)",
        user_id,
    )


async def test_block_is_one_write_and_seen_by_every_process(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Set by one process, it is what another reads next; lifted likewise."""
    one, other = open_blocks(postgres, redis), open_blocks(postgres, redis)
    assert [] == await _of(one, 7, 8, 7)
    await one.set(7, 0)
    await one.set(9, 1_700_000_000_000)
    found = await _of(other, 9, 8, 7, 9)
    assert [(9, 1_700_000_000_000), (7, 0), (9, 1_700_000_000_000)] == found
    await other.set(7, None)
    assert [] == await _of(one, 7)
    assert 3 == await redis.hlen(BLOCKS)  # user 9, that it is loaded, and the name of its ranges


async def test_list_that_redis_lost_is_put_back_by_who_notices(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Blocks that hold come back, for good or until their moment; others do not, in any run."""
    await _block(postgres, 7)
    await _block(postgres, 8, "now() + interval '1 hour'")
    await _block(postgres, 9, "now() - interval '1 hour'")
    await _block(postgres, 10)
    await postgres.execute("UPDATE blocks SET lifted_at = now() WHERE user_id = 10")
    blocks = open_blocks(postgres, redis)
    found = dict(await _of(blocks, 7, 8, 9, 10, 11, 12))
    assert ({7, 8}, 0) == (set(found), found[7])
    await redis.flushall()
    assert found == dict(await _of(blocks, 7, 8, 9, 10, 11, 12))
    await redis.hdel(BLOCKS, "7")  # as in a copy from before the block,
    await blocks.set(10, 0)  # and before it was lifted
    assert {10: 0, 8: found[8]} == dict(await _of(blocks, 7, 8, 10))
    assert found == dict(await _of(blocks, 7, 8, 10, run="the next run"))


async def test_a_block_that_is_being_set_is_not_lost_when_the_list_is_put_back(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Putting back waits for whoever holds the lock, and finds what was committed under it."""
    blocks = open_blocks(postgres, redis)
    async with postgres.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('kuji.blocks'))")
        reading = asyncio.create_task(_of(blocks, 7))
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(10):
            while not await postgres.fetchval(query):
                pass
        await blocks.set(7, 0)
        await connection.execute(
            "INSERT INTO blocks (user_id, reason, created_by) VALUES (7, '', 1)"
        )
    assert [(7, 0)] == await reading


async def test_nobody_draws_when_the_list_is_lost_and_postgres_is_away(redis: Redis) -> None:
    """Who cannot know whether somebody is blocked does not say that nobody is."""
    pool = asyncpg.create_pool("postgresql://postgres@127.0.0.1:1/none", min_size=0)
    async with pool as postgres:
        with pytest.raises(OSError, match="Connect call failed"):
            await _of(open_blocks(postgres, redis), 7)


async def test_block_of_a_range_is_seen_by_every_process(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """By the next batch of each; of ranges around an address, the one that lasts longest counts."""
    one, other = open_blocks(postgres, redis), open_blocks(postgres, redis)
    seen = "203.0.113.7", "ipv6:[2001:db8::1]:443", "ipv4:198.51.100.1:9", "unix:", ""
    assert [] == await _at(other, *seen)
    await _set(one, "203.0.113.0/24", _SOON)
    await _set(one, "2001:db8:ffff::/32")
    assert [(seen[0], _SOON), (seen[1], 0)] == await _at(other, *seen)
    await _set(other, "203.0.113.7", _LATER)
    assert [(seen[0], _LATER), (seen[1], 0)] == await _at(one, *seen)
    await _set(one, "::ffff:203.0.0.0/104")
    await _set(one, "2001:db8::/32", None)
    assert [(seen[0], 0)] == await _at(other, *seen)


async def test_block_of_an_address_is_of_the_draws_from_there(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """The same user's draw from elsewhere, in the same batch, is not blocked."""
    blocks = open_blocks(postgres, redis)
    assert [] == await _at(blocks, "203.0.113.7")
    await _set(blocks, "203.0.113.7", _LATER)
    assert [("203.0.113.7", _LATER)] == await _at(
        blocks, "203.0.113.8", "203.0.113.7", "203.0.113.6"
    )
    await blocks.set(1, _SOON)
    intents = [intent(1, "a")._replace(address="203.0.113.7"), intent(1, "b"), intent(2, "c")]
    assert [Blocked(1, _LATER), Blocked(2, _SOON)] == await blocks.of(intents, _RUN)


async def test_ranges_that_redis_lost_are_put_back(postgres: asyncpg.Pool, redis: Redis) -> None:
    """Whatever an older copy had; a process that read others before reads them again."""
    blocks, other = open_blocks(postgres, redis), open_blocks(postgres, redis)
    await postgres.execute(
        "INSERT INTO blocks (network, reason, until, created_by) VALUES"
        " ('203.0.113.0/24', '', NULL, 1), ('198.51.100.1', '', now() - interval '1 hour', 1)"
    )
    seen = "203.0.113.9", "198.51.100.1", "192.0.2.1"
    assert [("203.0.113.9", 0)] == await _at(other, *seen)
    await _set(blocks, "203.0.113.0/24", None)  # as in a copy from before the block,
    await _set(blocks, "192.0.2.1")  # and before another was lifted
    assert [("192.0.2.1", 0)] == await _at(other, *seen)
    assert [("203.0.113.9", 0)] == await _at(blocks, *seen, run="the next run")
    assert [("203.0.113.9", 0)] == await _at(other, *seen, run="the next run")


async def test_ten_thousand_ranges_are_read_once(postgres: asyncpg.Pool, redis: Redis) -> None:
    """A batch asks whether they have changed; what has run out is dropped with the next change."""
    await postgres.execute(
        "INSERT INTO blocks (network, reason, created_by) SELECT network, '', 1 FROM ("
        " SELECT set_masklen('10.0.0.0'::cidr + n * 256, 24) AS network"
        " FROM generate_series(0, 9998) AS n) AS ranges"
    )
    blocks = open_blocks(postgres, redis)
    addresses = ["10.0.0.9", "10.39.14.255", "10.39.15.0", "9.255.255.255"]
    expected = [("10.0.0.9", 0), ("10.39.14.255", 0)]
    assert expected == await _at(blocks, *addresses)
    await _set(blocks, "192.0.2.1", 1)
    assert expected == await _at(blocks, *addresses)
    await redis.config_resetstat()
    for _ in range(20):
        assert expected == await _at(blocks, *addresses)
    calls = (await redis.info("commandstats")).items()
    assert {"cmdstat_hmget": 20} == {name: stat["calls"] for name, stat in calls if "hmget" in name}
    assert "cmdstat_hgetall" not in dict(calls)
    assert 10_000 == await redis.hlen(BLOCKED_NETWORKS)
    await _set(blocks, "192.0.2.2")
    assert 10_000 == await redis.hlen(BLOCKED_NETWORKS)
