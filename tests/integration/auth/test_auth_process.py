"""The auth service as a process of its own."""

import asyncio
import json
import os
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc

from services.common.status import error_info_of
from stack.ports import free_port
from tests.support import service_process
from tests.support.proxy import proxying
from tests.support.service_process import ServiceProcess

START_TIMEOUT_S = 30


def environment(dsn: str, port: int, **changes: str) -> dict[str, str]:
    """What the stack tells an auth process."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("KUJI_")},
        "KUJI_LISTEN": f"127.0.0.1:{port}",
        "KUJI_POSTGRES_DSN": dsn,
        "KUJI_TOKEN_KEY_SECRET": "5e" * 32,
        "KUJI_SERVICE_SECRET": "sixteen or more characters",
        "KUJI_ADMIN_PASSWORD": "battery staple",
        "KUJI_ARGON2_MEMORY_KIB": "64",
        **changes,
    }


def started(variables: dict[str, str]) -> AbstractAsyncContextManager[ServiceProcess]:
    """A process, gone at the end whatever happened."""
    return service_process.started("auth", variables)


async def outcome_of(variables: dict[str, str]) -> tuple[int, str]:
    """Exit code and the last line of a process that cannot start."""
    outcome = service_process.outcome_of("auth", variables)
    code, said = await asyncio.wait_for(outcome, START_TIMEOUT_S)
    return code, said[-1]


async def key_ids(port: int) -> list[str]:
    """The kids of logins that the process on this port publishes, as soon as it serves."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        body = await auth_pb2_grpc.AuthServiceStub(channel).GetJwks(
            auth_pb2.GetJwksRequest(), timeout=START_TIMEOUT_S, wait_for_ready=True
        )
    return [key["kid"] for key in json.loads(body.data)["keys"] if key["alg"] == "RS256"]


async def test_process_serves_until_sigterm(postgres_dsn: str) -> None:
    """Healthy while it serves; SIGTERM ends it with code 0."""
    port = free_port()
    async with started(environment(postgres_dsn, port)) as process:
        await key_ids(port)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="kuji.auth.v1.AuthService")
            )
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        process.ask_to_stop()
        assert await asyncio.wait_for(process.ended(), START_TIMEOUT_S) == 0


async def test_processes_agree_when_they_start_at_once(
    postgres_dsn: str, postgres: asyncpg.Pool
) -> None:
    """Three on one empty database: one signing key, one administrator."""
    ports = [free_port() for _ in range(3)]
    one, two, three = (started(environment(postgres_dsn, port)) for port in ports)
    async with one, two, three:
        published = await asyncio.gather(*map(key_ids, ports))
    assert len({tuple(kids) for kids in published}) == 1
    assert len(published[0]) == 1
    assert await postgres.fetchval("SELECT count(*) FROM users WHERE role = 'admin'") == 1


async def test_process_stops_with_a_sentence_when_a_secret_is_missing(postgres_dsn: str) -> None:
    """Exit code 2 and the variable's name."""
    variables = environment(postgres_dsn, free_port())
    del variables["KUJI_SERVICE_SECRET"]
    assert await outcome_of(variables) == (2, "kuji: KUJI_SERVICE_SECRET is not set")


async def test_process_stops_with_a_sentence_when_its_keys_do_not_open(postgres_dsn: str) -> None:
    """Another secret than the one the keys were encrypted with: exit code 1, no new key."""
    port = free_port()
    async with started(environment(postgres_dsn, port)):
        (kid,) = await key_ids(port)
    variables = environment(postgres_dsn, free_port(), KUJI_TOKEN_KEY_SECRET="00" * 32)
    sentence = f"kuji: auth stopped: KUJI_TOKEN_KEY_SECRET does not open the signing key {kid}"
    assert (1, sentence) == await outcome_of(variables)


async def test_process_stops_with_a_sentence_when_its_port_is_taken(postgres_dsn: str) -> None:
    """Exit code 1 and the address."""
    port = free_port()
    async with started(environment(postgres_dsn, port)):
        await key_ids(port)
        code, sentence = await outcome_of(environment(postgres_dsn, port))
    assert code == 1
    assert sentence.startswith("kuji: auth stopped: ")
    assert f"127.0.0.1:{port}" in sentence


async def test_call_is_told_the_truth_when_its_process_stops(postgres_dsn: str) -> None:
    """What there is no time for is UNAVAILABLE with a reason, not cut off with a bare CANCELLED."""
    server, port = urlsplit(postgres_dsn), free_port()
    request = auth_pb2.RegisterRequest(username="alice", password="correct horse")
    async with proxying(str(server.hostname), int(server.port or 0)) as gate:
        variables = environment(gate.instead_of(postgres_dsn), port, KUJI_DRAIN_S="2")
        async with (
            started(variables) as process,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            await key_ids(port)
            gate.freeze()
            stub = auth_pb2_grpc.AuthServiceStub(channel)
            call = stub.Register(request, timeout=START_TIMEOUT_S)
            await asyncio.wait_for(gate.held.wait(), START_TIMEOUT_S)
            process.ask_to_stop()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            gate.resume()
            assert 0 == await asyncio.wait_for(process.ended(), START_TIMEOUT_S)
    info = error_info_of(caught.value)
    assert info is not None, caught.value
    assert "UNAVAILABLE" == info.reason


async def test_process_waits_when_postgres_is_not_there(postgres_dsn: str) -> None:
    """It neither ends nor says that it serves; once Postgres is there, it serves with no hand."""
    server, port = urlsplit(postgres_dsn), free_port()
    async with proxying(str(server.hostname), int(server.port or 0)) as gate:
        await gate.refuse()
        async with started(environment(gate.instead_of(postgres_dsn), port)) as process:
            await asyncio.wait_for(gate.refused.wait(), START_TIMEOUT_S)
            assert process.exit_code is None
            gate.resume()
            assert 1 == len(await key_ids(port))
