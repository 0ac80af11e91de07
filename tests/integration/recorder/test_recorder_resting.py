"""Pools in which nothing happens cost nothing, and are recorded at once when something does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import le
from urllib.parse import urlsplit

import asyncpg
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from services.pool.store.keys import ledger_key
from tests.support.history import (
    eventually,
    make_pool,
    make_users,
    recording,
    until_recorded,
)
from tests.support.proxy import Proxy, proxying

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


@asynccontextmanager
async def gate(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy to the server of *url*, and the URL by way of it."""
    port = int(urlsplit(url).port or 0)
    async with proxying("127.0.0.1", port) as proxy:
        yield proxy, url.replace(f":{port}/", f":{proxy.port}/")


def defects() -> float:
    """How often holding pools has failed by a defect of ours."""
    told = {"work": "hold_pools", "kind": "defect"}
    return REGISTRY.get_sample_value("kuji_work_failed_rounds_total", told) or 0.0


async def reads_that_wait(redis: Redis) -> int:
    """How many reads of ledgers Redis holds at this moment."""
    return sum("b" in client["flags"] for client in await redis.client_list())


async def test_pool_that_wakes_while_all_are_given_up_is_no_defect(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """B1: a read is cut off, a batch is long in ending, other pools wake: an outage, no more."""
    (user,) = await make_users(postgres, 1)
    drawn, *resting = [(await make_pool(postgres, redis, prizes=1))[0] for _ in range(READS)]
    before = defects()

    async def all_rest() -> bool:
        return READS == await reads_that_wait(redis)

    async with (
        gate(postgres_dsn) as (wire, dsn),
        gate(redis_url) as (reading, url),
        recording(dsn, url, **SETTINGS),
    ):
        await until_recorded(postgres, drawn)
        await eventually(all_rest)
        wire.freeze()
        await drawn.draw([(user, 0)])
        await wire.held.wait()
        reading.reset_on(ledger_key(drawn.pool_id).encode())
        await reading.refused.wait()
        for writer in resting:
            await writer.draw([(user, 0)])
            await asyncio.sleep(0.1)  # one of them while the batch is being given up
        for one in (wire, reading):
            one.resume()
        for writer in (drawn, *resting):
            await until_recorded(postgres, writer)
    assert before == defects()
