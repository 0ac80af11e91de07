"""The list of blocked users: one for all pools, read before each batch, put back when lost."""

import asyncio

import asyncpg
import pytest
from redis.asyncio import Redis

from services.draw.blocks import open_blocks
from services.pool.store.keys import BLOCKS

_RUN = "a run of the store"


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
    assert [] == await one.of([7, 8, 7], _RUN)
    await one.set(7, 0)
    await one.set(9, 1_700_000_000_000)
    assert [(9, 1_700_000_000_000), (7, 0)] == await other.of([9, 8, 7, 9], _RUN)
    await other.set(7, None)
    assert [] == await one.of([7], _RUN)
    assert 2 == await redis.hlen(BLOCKS)  # user 9, and that it is loaded


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
    found = dict(await blocks.of([7, 8, 9, 10, 11, 12], _RUN))
    assert ({7, 8}, 0) == (set(found), found[7])
    await redis.flushall()
    assert found == dict(await blocks.of([7, 8, 9, 10, 11, 12], _RUN))
    await redis.hdel(BLOCKS, "7")  # as in a copy from before the block,
    await blocks.set(10, 0)  # and before it was lifted
    assert {10: 0, 8: found[8]} == dict(await blocks.of([7, 8, 10], _RUN))
    assert found == dict(await blocks.of([7, 8, 10], "the next run"))


async def test_a_block_that_is_being_set_is_not_lost_when_the_list_is_put_back(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Putting back waits for whoever holds the lock, and finds what was committed under it."""
    blocks = open_blocks(postgres, redis)
    async with postgres.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('kuji.blocks'))")
        reading = asyncio.create_task(blocks.of([7], _RUN))
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
            await open_blocks(postgres, redis).of([7], _RUN)
