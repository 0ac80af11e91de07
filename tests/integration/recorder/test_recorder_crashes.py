"""Every draw ends in Postgres exactly once, wherever the recorder dies."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from services.pool.ledger.entries import decode_entry
from services.pool.store.keys import ledger_key
from services.recorder import gathering, outlet
from services.recorder import recording as recording_steps
from services.recorder import writer as writing
from services.recorder.recording import record
from stack.ports import free_port
from tests.support.history import (
    Books,
    LedgerWriter,
    books,
    changed,
    eventually,
    expected_books,
    make_pool,
    make_users,
    next_version,
    recording,
    until_recorded,
)
from tests.support.service_process import ServiceProcess, started

STEPS = [
    (recording_steps, "_lock"),
    (gathering, "_load_configs"),
    (writing, "_add_versions"),
    (writing, "_add_links"),
    (writing, "_count_prizes"),
    (writing, "_advance"),
    (writing, "_add_winners"),
]


class Died(BaseException):
    """The process is gone; nothing catches it."""


def dying_after(function: Any, fatal_call: int = 1) -> Any:
    """*function*, but the process dies after its *fatal_call*-th call."""
    calls = 0

    async def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        result = await function(*args, **kwargs)
        if calls == fatal_call:
            raise Died
        return result

    return dying


async def written_ledger(postgres: asyncpg.Pool, redis: Redis) -> tuple[LedgerWriter, Books]:
    """A ledger with draws around a change of the configuration, and the books it must give."""
    users = await make_users(postgres, 3)
    writer, prizes = await make_pool(postgres, redis)
    outcomes = [(users[n % 3], prizes[n % 2].prize_id * (n % 5 == 0)) for n in range(40)]
    await writer.draw(outcomes[:20])
    await writer.configure(
        await next_version(postgres), [changed(prize, units=99) for prize in prizes]
    )
    await writer.draw(outcomes[20:])
    return writer, expected_books(outcomes, prizes)


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _, step in STEPS])
async def test_books_are_right_when_recorder_dies_within_a_transaction(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    step: str,
) -> None:
    """After any statement of the transaction, death leaves nothing behind; the next one goes on."""
    writer, expected = await written_ledger(postgres, redis)
    raw: Any = await redis.xrange(ledger_key(writer.pool_id))
    connection = await asyncpg.connect(postgres_dsn)
    with monkeypatch.context() as patch:
        patch.setattr(module, step, dying_after(getattr(module, step)))
        with pytest.raises(Died):
            await record(connection, writer.pool_id, [decode_entry(*one) for one in raw], {})
    connection.terminate()
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    assert expected == await books(postgres, writer.pool_id)


async def test_books_are_right_when_recorder_dies_between_commit_and_nudge(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was committed, and told to nobody, is not written again."""
    writer, expected = await written_ledger(postgres, redis)

    async def dies(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(outlet.Outlet, "publish", dies)
        with pytest.raises(BaseExceptionGroup):
            await _record_until_dead(postgres_dsn, redis_url)
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    assert expected == await books(postgres, writer.pool_id)


async def _record_until_dead(postgres_dsn: str, redis_url: str) -> None:
    async with recording(postgres_dsn, redis_url):
        await asyncio.Event().wait()  # the recorder's death cancels it


async def test_entries_are_skipped_when_they_come_again(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str
) -> None:
    """Replaying a recorded ledger, whole or from the middle, changes nothing."""
    writer, expected = await written_ledger(postgres, redis)
    raw: Any = await redis.xrange(ledger_key(writer.pool_id))
    entries = [decode_entry(*one) for one in raw]
    connection = await asyncpg.connect(postgres_dsn)
    for first in (0, 1, 0, 2, 3):
        await record(connection, writer.pool_id, entries[first:], {})
    await connection.close()
    assert expected == await books(postgres, writer.pool_id)


async def test_recorder_goes_on_when_postgres_cuts_all_its_connections(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A restart of Postgres is waited for; nothing is lost by it, nothing doubled."""
    users = await make_users(postgres, 3)
    writer, prizes = await make_pool(postgres, redis)
    outcomes = [(users[n % 3], prizes[n % 2].prize_id * (n % 3 == 0)) for n in range(300)]
    async with recording(postgres_dsn, redis_url, batch_draws=5):
        for first in range(0, 300, 5):
            await writer.draw(outcomes[first : first + 5])
            if first % 50 == 0:
                await postgres.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'kuji-recorder%'"
                )
        await until_recorded(postgres, writer)
    assert expected_books(outcomes, prizes) == await books(postgres, writer.pool_id)


async def test_recorder_goes_on_when_redis_cuts_its_connections(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A lost connection to Redis is made anew, and reading goes on where it was."""
    users = await make_users(postgres, 3)
    writer, prizes = await make_pool(postgres, redis)
    outcomes = [(users[n % 3], prizes[n % 2].prize_id * (n % 3 == 0)) for n in range(100)]
    async with recording(postgres_dsn, redis_url, batch_draws=5):
        for first in range(0, 100, 5):
            await writer.draw(outcomes[first : first + 5])
            if first % 25 == 0:
                await redis.client_kill_filter(_type="normal", skipme=True)
        await until_recorded(postgres, writer)
    assert expected_books(outcomes, prizes) == await books(postgres, writer.pool_id)


@asynccontextmanager
async def recorder_process(
    postgres_dsn: str, redis_url: str
) -> AsyncIterator[tuple[ServiceProcess, str]]:
    """A recorder as a process of its own, in small batches, and its address."""
    listen = f"127.0.0.1:{free_port()}"
    variables = {
        "KUJI_LISTEN": listen,
        "KUJI_POSTGRES_DSN": postgres_dsn,
        "KUJI_REDIS_URL": redis_url,
        "KUJI_BATCH_DRAWS": "20",
    }
    async with started("recorder", {**os.environ, **variables}) as process:
        yield process, listen


async def test_books_are_right_when_recorder_processes_are_killed(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """kill -9 in the middle, three times; the fourth recorder finishes."""
    users = await make_users(postgres, 10)
    writer, prizes = await make_pool(postgres, redis, units=5000)
    outcomes = [(users[n % 10], prizes[n % 2].prize_id * (n % 3 == 0)) for n in range(8000)]
    for first in range(0, 8000, 10):
        await writer.draw(outcomes[first : first + 10])

    def past(seq: int) -> Any:
        async def is_past() -> bool:
            return (await books(postgres, writer.pool_id)).counters[3] > seq

        return is_past

    for killed_after in (0, 1000, 2500):
        async with recorder_process(postgres_dsn, redis_url) as (process, _):
            await eventually(past(killed_after))
            process.kill()
    async with recorder_process(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    assert expected_books(outcomes, prizes) == await books(postgres, writer.pool_id)


async def test_recorder_process_is_healthy_and_stops_on_sigterm(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """It answers the health check, and leaves with code 0 and no lock behind."""
    writer, _ = await make_pool(postgres, redis)
    async with recorder_process(postgres_dsn, redis_url) as (process, listen):
        async with grpc.aio.insecure_channel(listen) as channel:
            health = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=20
            )
        assert health_pb2.HealthCheckResponse.SERVING == health.status
        await until_recorded(postgres, writer)
        process.ask_to_stop()
        assert await asyncio.wait_for(process.ended(), 15) == 0

    async def no_locks() -> bool:
        return not await postgres.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )

    await eventually(no_locks)
