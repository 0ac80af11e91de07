"""What metrics tell of connections, and of an event loop that is held up."""

import asyncio
import time

import asyncpg
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from services.common.connections import PostgresPool, RedisPool
from services.common.event_loop import watched


def _shown(store: str) -> dict[str, float | None]:
    names = ("open", "in_use", "max", "waiting")
    return {
        name: REGISTRY.get_sample_value(f"kuji_connections_{name}", {"store": store})
        for name in names
    }


def _waits(store: str) -> float:
    return REGISTRY.get_sample_value("kuji_connections_wait_seconds_count", {"store": store}) or 0.0


async def test_postgres_pool_tells_who_waits(postgres_dsn: str) -> None:
    """In use, open, at most, and how many wait; both ways to acquire one are measured."""
    before = _waits("postgres")
    async with PostgresPool(postgres_dsn, 2, 5.0) as pool:
        assert {"open": 0, "in_use": 0, "max": 2, "waiting": 0} == _shown("postgres")
        async with pool.acquire():
            second = await pool.acquire()
            third = asyncio.create_task(pool.fetchval("SELECT 3"))
            await asyncio.sleep(0)
            assert {"open": 2, "in_use": 2, "max": 2, "waiting": 1} == _shown("postgres")
            await pool.release(second)
            assert 3 == await third
        assert {"open": 2, "in_use": 0, "max": 2, "waiting": 0} == _shown("postgres")
    assert 3 == _waits("postgres") - before


async def test_connection_goes_back_to_its_pool_without_a_statement_of_its_own(
    postgres_dsn: str, postgres: asyncpg.Pool
) -> None:
    """What was begun is rolled back; else its last statement is its user's."""
    async with PostgresPool(postgres_dsn, 1, 5.0) as pool:
        pid = await pool.fetchval("SELECT pg_backend_pid()")
        last = "SELECT query FROM pg_stat_activity WHERE pid = $1"
        assert "SELECT pg_backend_pid()" == await postgres.fetchval(last, pid)
        connection = await pool.acquire()
        await connection.transaction().start()
        await pool.release(connection)
        assert "ROLLBACK" == await postgres.fetchval(last, pid)


async def test_postgres_pool_counts_nobody_twice_when_a_connection_cannot_be_had() -> None:
    """A wait that fails is over, too."""
    async with PostgresPool("postgresql://nobody@127.0.0.1:1/none", 2, 5.0) as pool:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await pool.fetchval("SELECT 1")
        assert 0 == _shown("postgres")["waiting"]


async def test_redis_pool_tells_who_waits(redis_url: str) -> None:
    """A call that waits too long for a connection is not there any more."""
    before = _waits("redis")
    pool = RedisPool.from_url(
        redis_url, max_connections=1, timeout=0.05, retry=Retry(NoBackoff(), 0)
    )
    async with Redis.from_pool(pool) as redis:
        await redis.ping()
        assert {"open": 1, "in_use": 0, "max": 1, "waiting": 0} == _shown("redis")
        held = await pool.get_connection()
        waiting = asyncio.ensure_future(pool.get_connection())
        await asyncio.sleep(0)
        assert {"open": 1, "in_use": 1, "max": 1, "waiting": 1} == _shown("redis")
        with pytest.raises(RedisConnectionError):
            await waiting
        await pool.release(held)
        assert {"open": 1, "in_use": 0, "max": 1, "waiting": 0} == _shown("redis")
    assert 3 <= _waits("redis") - before


async def test_event_loop_lag_shows_what_holds_it_up() -> None:
    """Work that blocks for 700 ms is seen as such."""

    def slow() -> float:
        name = "kuji_event_loop_lag_seconds_bucket"
        all_, quick = (REGISTRY.get_sample_value(name, {"le": le}) for le in ("+Inf", "0.1"))
        return (all_ or 0.0) - (quick or 0.0)

    before = slow()

    async def blocks() -> None:
        await asyncio.sleep(0)
        time.sleep(1.2)  # noqa: ASYNC251  # that is what is to be seen
        await asyncio.sleep(0.01)

    await watched(blocks())
    assert 1 == slow() - before
