"""Every error of the house: one reason, one status, and the same on the wire."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import grpc
import jwt
import pytest
import redis.exceptions
import structlog.testing
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from kuji.common.v1.error_reason_pb2 import ErrorReason
from kuji.history.v1 import history_pb2, history_pb2_grpc
from prometheus_client import REGISTRY

from services.common import errors
from services.common.contract import facts_of
from services.common.errors import KujiError
from services.common.keyset import Jwks
from services.common.server.serve import Front, Implementation, build_server
from services.common.settings import ServiceSettings
from services.common.status import STATUS_OF_REASON, error_info_of
from services.common.tokens import TokenVerifier

SAMPLES: dict[str, Any] = {"int": 41_000, "str": "sample"}


def _subclasses(kind: type[KujiError]) -> Iterator[type[KujiError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _sample(kind: type[KujiError]) -> KujiError:
    parameters = inspect.signature(kind).parameters.values()
    values = {
        parameter.name: SAMPLES[parameter.annotation.__name__]
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind != parameter.VAR_KEYWORD
    }
    return kind(**values)


CLASSES = [kind for kind in _subclasses(KujiError) if kind.__module__ == errors.__name__]
REASONS = [value for value in ErrorReason.values() if value]
RAISED = [reason for reason in REASONS if not facts_of(reason).edge_only]


class Failing:
    """A servicer whose RPCs raise what the test sets."""

    def __init__(self) -> None:
        self.error: BaseException = KujiError()
        self.begun = asyncio.Event()
        self.cleaned_up = asyncio.Event()

    async def GetJwks(self, *_: Any) -> None:  # noqa: N802
        """Raise it."""
        raise self.error

    async def StreamWinners(self, *_: Any) -> AsyncIterator[None]:  # noqa: N802
        """Raise it, from a stream."""
        raise self.error
        yield

    async def Login(self, *_: Any) -> None:  # noqa: N802
        """Never answer."""
        self.begun.set()
        await asyncio.Event().wait()

    async def Register(self, *_: Any) -> auth_pb2.RegisterResponse:  # noqa: N802
        """Be asked to end, and take long over it; then answer as if nothing had happened."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.cleaned_up.wait()
        return auth_pb2.RegisterResponse()

    def __getattr__(self, name: str) -> Any:
        return self.GetJwks


async def _no_keys() -> Jwks:
    return {"keys": []}


@pytest.fixture(scope="module")
def failing() -> Failing:
    """What the served RPCs raise."""
    return Failing()


@pytest.fixture(scope="module", params=Front)
async def channel(
    failing: Failing, request: pytest.FixtureRequest
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server whose RPCs fail."""
    services = [
        Implementation(failing, auth_pb2.DESCRIPTOR.services_by_name["AuthService"]),
        Implementation(failing, history_pb2.DESCRIPTOR.services_by_name["HistoryService"]),
    ]
    settings = ServiceSettings(listen="127.0.0.1:0", default_timeout_s=0.01, strict_contract=False)
    server, port, _ = build_server(services, TokenVerifier(_no_keys), settings, request.param)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


async def _failure(channel: grpc.aio.Channel) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth_pb2_grpc.AuthServiceStub(channel).GetJwks(auth_pb2.GetJwksRequest())
    return caught.value


def test_reasons_have_one_class_each() -> None:
    """Every reason that a service gives is raised by exactly one class, and no class lacks one."""
    assert sorted(kind.reason for kind in CLASSES) == sorted(RAISED)


def test_reasons_have_a_status_each() -> None:
    """The one table knows every reason and no other."""
    assert set(STATUS_OF_REASON) == set(REASONS)


@pytest.mark.parametrize("kind", CLASSES)
async def test_error_reaches_the_client_whole(
    kind: type[KujiError], failing: Failing, channel: grpc.aio.Channel
) -> None:
    """Status, sentence, reason, domain and metadata arrive as they were raised."""
    failing.error = expected = _sample(kind)
    failure = await _failure(channel)
    info = error_info_of(failure)
    assert info is not None
    assert failure.code() == STATUS_OF_REASON[kind.reason]
    assert failure.details() == expected.message
    assert (info.reason, info.domain) == (expected.reason_name, "kuji")
    assert dict(info.metadata) == expected.metadata


@pytest.mark.parametrize("kind", CLASSES)
def test_error_has_a_sentence(kind: type[KujiError]) -> None:
    """People get a sentence: a capital letter first, a full stop last."""
    message = _sample(kind).message
    if message != SAMPLES["str"]:
        assert message[0].isupper()
        assert message.endswith(".")


async def test_error_reaches_the_client_whole_when_a_stream_raises_it(
    failing: Failing, channel: grpc.aio.Channel
) -> None:
    """Streams fail the way single answers do."""
    failing.error = errors.CooldownError(retry_after_ms=41_000)
    stub = history_pb2_grpc.HistoryServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(stub.StreamWinners(history_pb2.StreamWinnersRequest())))
    info = error_info_of(caught.value)
    assert info is not None
    assert (info.reason, dict(info.metadata)) == ("COOLDOWN", {"retry_after_ms": "41000"})


@pytest.mark.parametrize("error", [RuntimeError("secret detail"), KeyError("secret detail")])
async def test_defect_leaves_without_detail(
    error: Exception, failing: Failing, channel: grpc.aio.Channel
) -> None:
    """An unexpected error is INTERNAL with a trace id, and nothing of what it says."""
    failing.error = error
    failure = await _failure(channel)
    info = error_info_of(failure)
    assert info is not None
    assert (failure.code(), info.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert list(info.metadata) == ["trace_id"]
    assert "secret" not in str(failure.details())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError("port 5432"), "UNAVAILABLE"),
        (TimeoutError(), "UNAVAILABLE"),
        (asyncpg.ConnectionDoesNotExistError("gone"), "UNAVAILABLE"),
        (asyncpg.InterfaceError("connection is closed"), "UNAVAILABLE"),
        (asyncpg.DiskFullError("could not extend file"), "UNAVAILABLE"),
        (asyncpg.ReadOnlySQLTransactionError("a standby"), "UNAVAILABLE"),
        (redis.exceptions.OutOfMemoryError("used memory > 'maxmemory'"), "UNAVAILABLE"),
        (RuntimeError("unable to perform operation; the handler is closed"), "UNAVAILABLE"),
        (asyncpg.UniqueViolationError("a second one"), "INTERNAL"),
        (asyncpg.exceptions._base.DataError("an unfit argument"), "INTERNAL"),
        (asyncpg.UndefinedColumnError("no such column"), "INTERNAL"),
        (asyncpg.CharacterNotInRepertoireError("0x00"), "INVALID_ARGUMENT"),
    ],
)
async def test_outage_is_told_from_a_defect(
    error: Exception, reason: str, failing: Failing, channel: grpc.aio.Channel
) -> None:
    """A part that is away makes the outcome unknown; a wrong statement is our defect."""
    failing.error = error
    info = error_info_of(await _failure(channel))
    assert info is not None
    assert info.reason == reason


async def test_call_is_answered_in_time_when_its_work_does_not_end(
    failing: Failing, channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    """A client of a frozen server may clean up for seconds: nobody waits for that."""
    failing.cleaned_up.clear()
    request = auth_pb2.RegisterRequest(username="alice", password="correct horse")
    with structlog.testing.capture_logs() as logged:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await auth_pb2_grpc.AuthServiceStub(channel).Register(request)
        failing.cleaned_up.set()
        failing.error = errors.UnavailableError()
        await _failure(channel)
    info = error_info_of(caught.value)
    assert info is not None
    assert "UNAVAILABLE" == info.reason
    assert {"dependency unavailable"} >= {entry["event"] for entry in logged}
    assert [] == caplog.records  # grpc's own


@pytest.mark.parametrize("front", Front)
async def test_call_is_answered_in_time_when_its_token_cannot_be_checked(
    failing: Failing, front: Front
) -> None:
    """The bound of a call holds for the question whether its token is good, too."""

    async def never() -> Jwks:
        await asyncio.Event().wait()
        return {}

    service = Implementation(failing, auth_pb2.DESCRIPTOR.services_by_name["AuthService"])
    settings = ServiceSettings(listen="127.0.0.1:0", default_timeout_s=0.01)
    server, port, _ = build_server([service], TokenVerifier(never), settings, front)
    await server.start()
    token = jwt.encode({}, "x" * 32, headers={"kid": "unknown"})
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await auth_pb2_grpc.AuthServiceStub(channel).ListSessions(
                auth_pb2.ListSessionsRequest(), metadata=[("authorization", f"Bearer {token}")]
            )
    await server.stop(0)
    info = error_info_of(caught.value)
    assert info is not None
    assert "UNAVAILABLE" == info.reason


async def test_cancellation_that_the_caller_did_not_ask_for_is_an_outage(
    failing: Failing, channel: grpc.aio.Channel
) -> None:
    """What a call waits for may be cancelled by others: never a bare CANCELLED for that."""
    failing.error = asyncio.CancelledError()
    stub = history_pb2_grpc.HistoryServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(stub.StreamWinners(history_pb2.StreamWinnersRequest())))
    for failure in (await _failure(channel), caught.value):
        info = error_info_of(failure)
        assert info is not None
        assert ("UNAVAILABLE", {"retry_after_ms": "500"}) == (info.reason, dict(info.metadata))


def _told(method: str, reason: str) -> float:
    labels = {"method": method, "reason": reason}
    return REGISTRY.get_sample_value("kuji_rpc_calls_total", labels) or 0.0


@pytest.mark.parametrize("front", Front)
async def test_caller_that_hangs_up_is_no_error(failing: Failing, front: Front) -> None:
    """The metrics say that it left; nothing says INTERNAL, and no error is logged."""
    service = Implementation(failing, auth_pb2.DESCRIPTOR.services_by_name["AuthService"])
    settings = ServiceSettings(listen="127.0.0.1:0", strict_contract=False)
    server, port, _ = build_server([service], TokenVerifier(_no_keys), settings, front)
    await server.start()
    failing.begun.clear()
    before = [_told("Login", reason) for reason in ("CALLER_LEFT", "INTERNAL", "UNAVAILABLE")]
    with structlog.testing.capture_logs() as logged:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            request = auth_pb2.LoginRequest(username="alice", password="correct horse")
            call = auth_pb2_grpc.AuthServiceStub(channel).Login(request)
            await failing.begun.wait()
            call.cancel()
            async with asyncio.timeout(10):
                while _told("Login", "CALLER_LEFT") == before[0]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await server.stop(0)
    after = [_told("Login", reason) for reason in ("CALLER_LEFT", "INTERNAL", "UNAVAILABLE")]
    assert [before[0] + 1, *before[1:]] == after
    assert [] == logged


async def test_malformed_message_is_the_callers_fault(channel: grpc.aio.Channel) -> None:
    """Bytes that are no message get INVALID_ARGUMENT with a reason, not a bare UNKNOWN."""
    call = channel.unary_unary("/kuji.auth.v1.AuthService/Register", bytes, bytes)
    invalid_utf8 = b"\x0a\x02\xff\xfe"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(invalid_utf8)
    info = error_info_of(caught.value)
    assert info is not None
    assert (info.reason, dict(info.metadata)) == ("INVALID_ARGUMENT", {"field": "body"})


async def test_call_without_a_deadline_ends_at_the_default(channel: grpc.aio.Channel) -> None:
    """A caller that would wait for ever is answered when default_timeout_s has passed."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth_pb2_grpc.AuthServiceStub(channel).Login(auth_pb2.LoginRequest())
    info = error_info_of(caught.value)
    assert info is not None
    assert info.reason == "UNAVAILABLE"
