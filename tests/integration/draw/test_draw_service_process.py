"""The draw service as a process of its own."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from services.common.server.serve import Front
from services.pool.rule.selection import PPB
from stack.ports import free_port
from tests.support import service_process
from tests.support.admin import failure
from tests.support.draw_service import SEED_KEY, Caller, World, open_world
from tests.support.draws import CODE_KEY
from tests.support.proxy import Proxy, proxying
from tests.support.service_process import ServiceProcess

TIMEOUT_S = 30
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def environment(port: int, **changes: str) -> dict[str, str]:
    """What the stack tells a draw process; nothing of it is there."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("KUJI_")},
        "KUJI_LISTEN": f"127.0.0.1:{port}",
        "KUJI_POSTGRES_DSN": "postgresql://postgres@127.0.0.1:1/nowhere",
        "KUJI_REDIS_URL": "redis://127.0.0.1:1/0",
        "KUJI_AUTH_ADDRESS": "127.0.0.1:1",
        "KUJI_SEED_KEY": "5e" * 32,
        "KUJI_CODE_KEY": "c0" * 32,
        **changes,
    }


def started(variables: dict[str, str]) -> AbstractAsyncContextManager[ServiceProcess]:
    """A process, gone at the end whatever happened."""
    return service_process.started("draw", variables)


async def outcome_of(variables: dict[str, str]) -> tuple[int, str]:
    """Exit code and the last line of a process that cannot start."""
    code, said = await asyncio.wait_for(service_process.outcome_of("draw", variables), TIMEOUT_S)
    return code, said[-1]


async def serving(port: int) -> None:
    """Return when the process on *port* says that DrawService serves."""
    request = health_pb2.HealthCheckRequest(service="kuji.draw.v1.DrawService")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        changes = health_pb2_grpc.HealthStub(channel).Watch(
            request, timeout=TIMEOUT_S, wait_for_ready=True
        )
        async for change in changes:
            if change.status == SERVING:
                return


async def health(port: int) -> int:
    """What the process on *port* says of DrawService, as soon as it listens."""
    request = health_pb2.HealthCheckRequest(service="")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(request, timeout=TIMEOUT_S, wait_for_ready=True)
    return int(answer.status)


@pytest.mark.parametrize("front", Front)
async def test_process_serves_until_sigterm(
    postgres_dsn: str, redis_url: str, front: Front
) -> None:
    """It is ready though auth is not there; SIGTERM ends it with code 0."""
    port = free_port()
    stores = {"KUJI_POSTGRES_DSN": postgres_dsn, "KUJI_REDIS_URL": redis_url}
    async with started(environment(port, KUJI_DRAW_FRONT=front, **stores)) as process:
        await serving(port)
        process.ask_to_stop()
        assert 0 == await asyncio.wait_for(process.ended(), TIMEOUT_S)


async def test_process_stops_at_sigterm_when_it_is_not_ready() -> None:
    """Waiting for Postgres, it ends with code 0 as at any other time."""
    port = free_port()
    async with started(environment(port)) as process:
        assert NOT_SERVING == await health(port)
        process.ask_to_stop()
        assert 0 == await asyncio.wait_for(process.ended(), TIMEOUT_S)


@asynccontextmanager
async def started_behind(
    gate: Proxy, dsn: str, redis_url: str, world: World, port: int
) -> AsyncIterator[tuple[ServiceProcess, Caller]]:
    """A draw process that reaches Postgres by *gate*, and a caller of it."""
    variables = environment(
        port,
        KUJI_POSTGRES_DSN=gate.instead_of(dsn),
        KUJI_REDIS_URL=redis_url,
        KUJI_AUTH_ADDRESS=world.auth_address,
        KUJI_SEED_KEY=SEED_KEY,
        KUJI_CODE_KEY=CODE_KEY,
    )
    async with (
        started(variables) as process,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield process, Caller(channel, world.auth.token(1, "alice", "user"))


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str) -> AsyncIterator[World]:
    """Another replica, which makes the pools."""
    async with open_world(postgres, postgres_dsn, redis_url) as opened:
        yield opened


@pytest.fixture
async def gate(postgres_dsn: str) -> AsyncIterator[Proxy]:
    """The way to Postgres."""
    server = urlsplit(postgres_dsn)
    async with proxying(str(server.hostname), int(server.port or 0)) as proxy:
        yield proxy


async def test_process_that_starts_while_postgres_is_away_lives_and_waits(
    world: World, gate: Proxy, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """It knows no pool and says so: others take its calls. It becomes well with no hand."""
    activity, port = await world.activity((5, PPB)), free_port()
    await gate.refuse()
    async with started_behind(gate, postgres_dsn, redis_url, world, port) as (process, caller):
        assert NOT_SERVING == await health(port)
        refused = await failure(caller.draw(activity.activity_id, "a"))
        assert ("UNAVAILABLE", {"retry_after_ms": "500"}) == refused
        gate.resume()
        await serving(port)
        assert (await caller.draw(activity.activity_id, "a")).won
        assert process.exit_code is None


async def test_process_knows_pools_before_their_first_draw_when_postgres_goes_down(
    world: World, gate: Proxy, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """Once it is healthy it draws from what was there, whether it has drawn from it or not."""
    activities, port = [await world.activity((5, PPB)) for _ in range(3)], free_port()
    await world.user(2).draw(activities[0].activity_id, "a")  # so that Redis has the block list
    async with started_behind(gate, postgres_dsn, redis_url, world, port) as (_, caller):
        await serving(port)
        await gate.refuse()
        for activity in activities:
            assert (await caller.draw(activity.activity_id, "a")).won


async def test_process_names_the_port_that_is_taken() -> None:
    """One sentence, exit code 1."""
    port = free_port()
    async with started(environment(port)):
        await health(port)
        code, sentence = await outcome_of(environment(port))
    assert 1 == code
    assert sentence.startswith("kuji: draw stopped: ")
    assert f"127.0.0.1:{port}" in sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"KUJI_SEED_KEY": None}, "kuji: KUJI_SEED_KEY is not set"),
        ({"KUJI_CODE_KEY": None}, "kuji: KUJI_CODE_KEY is not set"),
        ({"KUJI_REDIS_URL": None}, "kuji: KUJI_REDIS_URL is not set"),
        (
            {"KUJI_SEED_KEY": "short"},
            "kuji: KUJI_SEED_KEY is unfit: Value error, 64 hexadecimal digits are needed",
        ),
        (
            {"KUJI_CODE_KEY": "c0" * 31},
            "kuji: KUJI_CODE_KEY is unfit: Value error, 64 hexadecimal digits are needed",
        ),
    ],
)
async def test_process_stops_with_a_sentence_when_a_setting_is_unfit(
    changes: dict[str, str | None], sentence: str
) -> None:
    """Exit code 2 and the variable's name; a secret has no default."""
    variables: dict[str, str | None] = {**environment(free_port()), **changes}
    given = {name: value for name, value in variables.items() if value is not None}
    assert (2, sentence) == await outcome_of(given)
