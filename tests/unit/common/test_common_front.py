"""What takes the calls of a process: who has left is not served, nothing ends its thread."""

import asyncio
from collections.abc import Callable
from threading import Semaphore
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc

from services.common.server.front import events
from services.common.server.front.events import Events
from services.common.server.serve import Front, Implementation, build_server
from services.common.settings import ServiceSettings
from services.common.tokens import TokenVerifier
from tests.hostile.raw_http2 import RawHttp2

_PATIENCE_S = 60


class Servicer:
    """Notes who is served."""

    def __init__(self) -> None:
        self.served: list[str] = []

    async def Login(self, request: auth_pb2.LoginRequest, _: Any) -> auth_pb2.LoginResponse:  # noqa: N802
        """See above."""
        self.served.append(request.username)
        return auth_pb2.LoginResponse()

    def __getattr__(self, name: str) -> Any:
        return self.Login


async def _no_keys() -> Any:
    return {"keys": []}


async def test_caller_who_left_before_his_call_was_begun_is_not_served(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """While the event loop stood still, his call came and went; it is nothing to warn of."""
    happened, tell = Semaphore(0), Events.tell

    def noting(events: Events, what: Callable[[Any], None], of: Any) -> None:
        tell(events, what, of)
        happened.release()

    monkeypatch.setattr(Events, "tell", noting)
    servicer = Servicer()
    service = Implementation(servicer, auth_pb2.DESCRIPTOR.services_by_name["AuthService"])
    settings = ServiceSettings(listen="127.0.0.1:0")
    verifier = TokenVerifier(_no_keys)
    server, port, _ = build_server([service], verifier, settings, Front.GATHERING)
    await server.start()
    address = f"127.0.0.1:{port}"
    with grpc.insecure_channel(address) as channel:
        await asyncio.to_thread(grpc.channel_ready_future(channel).result, _PATIENCE_S)
        request = auth_pb2.LoginRequest(username="leaver", password="correct horse")
        call: Any = auth_pb2_grpc.AuthServiceStub(channel).Login.future(request)
        # No await from here on: the event loop stands still.
        assert happened.acquire(timeout=_PATIENCE_S)  # his message has come
        call.cancel()
        assert happened.acquire(timeout=_PATIENCE_S)  # he has left
    async with grpc.aio.insecure_channel(address) as beside:
        health = health_pb2_grpc.HealthStub(beside)
        await health.Check(health_pb2.HealthCheckRequest(service="live"), timeout=_PATIENCE_S)
    await server.stop(0)
    assert [] == servicer.served
    assert [] == [one for one in recwarn if "was never awaited" in str(one.message)]


@pytest.mark.parametrize("front", Front)
async def test_calls_of_one_connection_are_bounded_whatever_its_client_does(front: Front) -> None:
    """What is beyond is refused to who does not wait; other connections are not concerned."""
    service = Implementation(Servicer(), auth_pb2.DESCRIPTOR.services_by_name["AuthService"])
    settings = ServiceSettings(listen="127.0.0.1:0", max_connection_calls=100)
    server, port, _ = build_server([service], TokenVerifier(_no_keys), settings, front)
    await server.start()
    address, path = f"127.0.0.1:{port}", "/kuji.auth.v1.AuthService/Login"
    greedy = await RawHttp2.connected(address, path, (), b"")
    await greedy.comes_on()  # the server has said how many
    for _ in range(150):
        greedy.begin()
    while greedy.ended < 50:
        await greedy.comes_on()
    async with grpc.aio.insecure_channel(address) as beside:
        health = health_pb2_grpc.HealthStub(beside)
        await health.Check(health_pb2.HealthCheckRequest(service="live"), timeout=_PATIENCE_S)
    assert 50 == greedy.ended
    greedy.drop()
    await server.stop(0)


async def test_front_goes_on_whatever_it_hears_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that cannot be read or told is logged; those behind it come through."""
    kinds = SimpleNamespace(queue_shutdown="shutdown")
    come: list[str] = []

    def broken(_: object) -> None:
        raise ValueError("told")

    happening = iter(
        [
            ValueError("read"),
            SimpleNamespace(completion_type="", tag=broken),
            SimpleNamespace(completion_type="", tag=lambda _: come.append("well")),
            SimpleNamespace(completion_type="shutdown"),
        ]
    )

    def poll() -> Any:
        event = next(happening)
        if isinstance(event, Exception):
            raise event
        return event

    made = SimpleNamespace(CompletionQueue=lambda: SimpleNamespace(poll=poll), CompletionType=kinds)
    monkeypatch.setattr(events, "cygrpc", made)
    heard = Events(lambda: None)
    with structlog.testing.capture_logs() as logged:
        heard.start()
        await asyncio.wait_for(heard.ended.wait(), _PATIENCE_S)
    assert ["well"] == come
    assert ["an event was not told"] * 2 == [entry["event"] for entry in logged]
