"""What takes the calls of a process: who has left is not served, nothing ends its thread."""

import asyncio
from collections import Counter
from collections.abc import Callable
from threading import Thread
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import structlog
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # grpc's stubs end above it
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kuji.auth.v1 import auth_pb2

from services.common.server.front.events import Events
from services.common.server.serve import Front, Implementation, build_server
from services.common.settings import ServiceSettings
from services.common.tokens import TokenVerifier
from tests.hostile.raw_http2 import RawHttp2, framed

_PATIENCE_S = 60
_PATH = "/kuji.auth.v1.AuthService/Login"


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


async def _come_and_go(address: str, body: bytes) -> None:
    """Return when the server has read a call and that it was cancelled."""
    leaver = await RawHttp2.connected(address, _PATH, (), framed(body))
    call = leaver.begin()
    leaver.send(call)
    leaver.reset(call)
    leaver.ping()
    while not leaver.pongs:
        await leaver.comes_on()


async def test_caller_who_left_before_his_call_was_begun_is_not_served(
    recwarn: pytest.WarningsRecorder,
) -> None:
    """While the event loop stood still, his call came and went; it is nothing to warn of."""
    servicer = Servicer()
    service = Implementation(servicer, auth_pb2.DESCRIPTOR.services_by_name["AuthService"])
    settings = ServiceSettings(listen="127.0.0.1:0")
    verifier = TokenVerifier(_no_keys)
    server, port, _ = build_server([service], verifier, settings, Front.GATHERING)
    await server.start()
    address = f"127.0.0.1:{port}"
    request = auth_pb2.LoginRequest(username="leaver", password="correct horse")
    gone = _come_and_go(address, request.SerializeToString())
    leaving = Thread(target=asyncio.run, args=(gone,))
    leaving.start()
    leaving.join(_PATIENCE_S)  # no await meanwhile: the event loop stands still
    assert not leaving.is_alive()
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
    address = f"127.0.0.1:{port}"
    greedy = await RawHttp2.connected(address, _PATH, (), b"")
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
    """An event that cannot be read or taken is logged; those behind it come through."""
    come: list[str] = []

    def broken(_: object) -> None:
        raise ValueError("taken")

    def broken_round() -> None:
        raise ValueError("round")

    well = _event(lambda _: come.append("well"))
    unread = ValueError("read")
    end = SimpleNamespace(completion_type=cygrpc.CompletionType.queue_shutdown)
    # By the thread, the event loop until nothing more comes, and both once more.
    happening = iter([unread, unread, _event(broken), well, *[_NOTHING] * 2, unread, well, end])

    def poll(_deadline: float | None) -> Any:
        event = next(happening)
        if isinstance(event, Exception):
            raise event
        return event

    monkeypatch.setattr(cygrpc, "CompletionQueue", lambda: SimpleNamespace(poll=poll))
    heard = Events(broken_round)
    with structlog.testing.capture_logs() as logged:
        heard.start()
        await asyncio.wait_for(heard.ended.wait(), _PATIENCE_S)
    assert ["well"] * 2 == come
    said = Counter(entry["event"] for entry in logged)
    assert (3, 1) == (said["an event was not read"], said["an event was not taken"])
    assert said["a round of events was not taken"]


_NOTHING = SimpleNamespace(completion_type=cygrpc.CompletionType.queue_timeout)


def _event(tag: Callable[[Any], None]) -> SimpleNamespace:
    return SimpleNamespace(completion_type="", tag=tag)
