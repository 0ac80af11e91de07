"""Pools in which nothing happens cost nothing, and are recorded at once when something does."""

import asyncio
from operator import le

import asyncpg
from redis.asyncio import Redis

from tests.support.history import (
    eventually,
    make_pool,
    make_users,
    recording,
    until_recorded,
)

# No pool is looked for but by being told of it.
SETTINGS = {"refresh_s": 3600.0, "rest_after_s": 0.1, "rest_block_ms": 1000}
READS = 8


async def commands(redis: Redis) -> int:
    """Commands that Redis has been sent, but for those of this question."""
    told = await redis.info("commandstats")
    return sum(stats["calls"] for name, stats in told.items() if name != "cmdstat_info")


async def transactions(postgres: asyncpg.Pool) -> int:
    """Transactions of this database that have ended, as far as their processes have told."""
    ended: int = await postgres.fetchval(
        "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    )
    return ended


async def use_of_two_seconds(redis: Redis, postgres: asyncpg.Pool) -> tuple[int, int]:
    """How many commands Redis is sent meanwhile, and how many transactions Postgres does."""
    sent, ended = await commands(redis), await transactions(postgres)
    await asyncio.sleep(2)
    return await commands(redis) - sent, await transactions(postgres) - ended


async def test_pools_that_rest_cost_no_commands(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """G11: a few reads wait for sixty pools; nothing more is asked, of Postgres next to nothing."""
    (user,) = await make_users(postgres, 1)
    writers = [(await make_pool(postgres, redis, prizes=1))[0] for _ in range(60)]
    async with recording(postgres_dsn, redis_url, **SETTINGS):
        for writer in writers:
            await until_recorded(postgres, writer)
        # Each of the reads twice, and one that began before; the gauges, and this test.
        most = 3 * READS, 12
        async with asyncio.timeout(60):
            while not all(map(le, await use_of_two_seconds(redis, postgres), most)):
                pass
        use = await use_of_two_seconds(redis, postgres)
        assert all(map(le, use, most)), use
        for writer in writers[7], writers[15], writers[7]:
            await writer.draw([(user, 0)])
            await until_recorded(postgres, writer)


async def test_new_pool_is_recorded_though_nobody_looks_for_it(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """The recorder is told of a pool by the transaction that makes it, and of one let go again."""
    async with recording(postgres_dsn, redis_url, **SETTINGS):
        writer, _ = await make_pool(postgres, redis)
        await until_recorded(postgres, writer)
        halt = "UPDATE pools SET halted_reason = $1 WHERE id = $2"
        await postgres.execute(halt, "a test", writer.pool_id)
        await writer.draw([(1, 0)])

        async def is_let_go() -> bool:
            locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::oid"
            return not await postgres.fetchval(locks, writer.pool_id)

        await eventually(is_let_go)
        await postgres.execute(halt, "", writer.pool_id)
        await until_recorded(postgres, writer)
