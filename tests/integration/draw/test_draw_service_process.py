"""The draw service as a process of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stack.ports import free_port

TIMEOUT_S = 30
SERVING = health_pb2.HealthCheckResponse.SERVING


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


@asynccontextmanager
async def started(variables: dict[str, str]) -> AsyncIterator[Process]:
    """A process, gone at the end whatever happened."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.draw", env=variables, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def outcome_of(variables: dict[str, str]) -> tuple[int | None, str]:
    """Exit code and the last line of a process that cannot start."""
    async with started(variables) as process:
        _, stderr = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
        return process.returncode, stderr.decode().splitlines()[-1]


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


async def test_process_serves_until_sigterm() -> None:
    """It is healthy also while its neighbours are not there yet; SIGTERM ends it with code 0."""
    port = free_port()
    async with started(environment(port)) as process:
        await serving(port)
        process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.wait_for(process.wait(), TIMEOUT_S)


async def test_process_names_the_port_that_is_taken() -> None:
    """One sentence, exit code 1."""
    port = free_port()
    async with started(environment(port)):
        await serving(port)
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
