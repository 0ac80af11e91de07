"""The admin service as a process of its own."""

import asyncio
import os
import time
from contextlib import AbstractAsyncContextManager

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stack.ports import free_port
from tests.support import service_process
from tests.support.admin import open_world
from tests.support.service_process import ServiceProcess

TIMEOUT_S = 30
SERVING = health_pb2.HealthCheckResponse.SERVING


def environment(port: int, **changes: str) -> dict[str, str]:
    """What the stack tells an admin process."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("KUJI_")},
        "KUJI_LISTEN": f"127.0.0.1:{port}",
        "KUJI_POSTGRES_DSN": "postgresql://postgres@127.0.0.1:1/nowhere",
        "KUJI_AUTH_ADDRESS": "127.0.0.1:1",
        "KUJI_DRAW_ADDRESS": "127.0.0.1:1",
        "KUJI_SERVICE_SECRET": "the service secret of this test",
        **changes,
    }


def started(variables: dict[str, str]) -> AbstractAsyncContextManager[ServiceProcess]:
    """A process, gone at the end whatever happened."""
    return service_process.started("admin", variables)


async def outcome_of(variables: dict[str, str]) -> tuple[int, list[str]]:
    """Exit code of a process that cannot start, and what it said."""
    return await asyncio.wait_for(service_process.outcome_of("admin", variables), TIMEOUT_S)


async def serving(port: int) -> None:
    """Return when the process on *port* says that AdminService serves."""
    request = health_pb2.HealthCheckRequest(service="kuji.admin.v1.AdminService")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        changes = health_pb2_grpc.HealthStub(channel).Watch(
            request, timeout=TIMEOUT_S, wait_for_ready=True
        )
        async for change in changes:
            if change.status == SERVING:
                return


async def test_process_serves_until_sigterm(postgres_dsn: str) -> None:
    """It is ready also while other services are not there yet; SIGTERM ends it with code 0."""
    port = free_port()
    async with started(environment(port, KUJI_POSTGRES_DSN=postgres_dsn)) as process:
        await serving(port)
        process.ask_to_stop()
        assert await asyncio.wait_for(process.ended(), TIMEOUT_S) == 0


async def test_process_finishes_activities_also_while_it_stops(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """What time ended is ended for good by itself; SIGTERM waits for the change in progress."""
    now = int(time.time())
    async with open_world(postgres, postgres_dsn) as world:
        await world.activity(
            start_time=Timestamp(seconds=now - 600), end_time=Timestamp(seconds=now - 61)
        )
        world.pools.hold = asyncio.Event()
        port = free_port()
        async with started(environment(port, **world.variables)) as process:
            await serving(port)
            await asyncio.wait_for(world.pools.held.wait(), TIMEOUT_S)
            process.ask_to_stop()
            world.pools.hold.set()
            assert await asyncio.wait_for(process.ended(), TIMEOUT_S) == 0
        assert "ended" == await postgres.fetchval("SELECT status FROM activities")


@pytest.mark.parametrize(
    "name",
    [
        "KUJI_LISTEN",
        "KUJI_POSTGRES_DSN",
        "KUJI_AUTH_ADDRESS",
        "KUJI_DRAW_ADDRESS",
        "KUJI_SERVICE_SECRET",
    ],
)
async def test_process_names_the_setting_that_is_missing(name: str) -> None:
    """One sentence, exit code 2."""
    variables = environment(free_port())
    del variables[name]
    assert (2, [f"kuji: {name} is not set"]) == await outcome_of(variables)


async def test_process_names_the_port_that_is_taken(postgres_dsn: str) -> None:
    """One sentence, exit code 1."""
    port = free_port()
    async with started(environment(port, KUJI_POSTGRES_DSN=postgres_dsn)):
        await serving(port)
        code, said = await outcome_of(environment(port))
    assert (1, True) == (code, said[-1].startswith("kuji: admin stopped:"))
    assert str(port) in said[-1]
