"""What strangers send to the auth service is measured before it is worked on."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc

from services.auth.assembly import open_auth
from services.auth.settings import AuthSettings
from services.common.server.serve import build_server
from services.common.status import error_info_of

if TYPE_CHECKING:
    from kuji.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub as Stub

PASSWORD = "correct horse"
MARKS = "a" + "\u0301\u0316" * 15_000  # 60 KB: composing them takes seconds
HUGE = MARKS * 2  # 120 KB: what gRPC alone lets through
VALID = {
    "username": "alice",
    "password": PASSWORD,
    "service": "admin",
    "email": "a@b.c",
    "old_password": PASSWORD,
    "new_password": PASSWORD,
}


def fields_of_text() -> list[tuple[MethodDescriptor, str]]:
    """Every field of text of every RPC, from the descriptor, so that a new one is there too."""
    service = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]
    return [
        (method, field.name)
        for method in service.methods
        for field in method.input_type.fields
        if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
    ]


@pytest.fixture
async def server_stub(postgres_dsn: str) -> AsyncIterator[Stub]:
    """A running service whose administrator exists."""
    settings = AuthSettings.model_validate(
        {
            "listen": "127.0.0.1:0",
            "postgres_dsn": postgres_dsn,
            "token_key_secret": "5e" * 32,
            "service_secret": "sixteen or more characters",
            "admin_password": "battery staple",
            "argon2_memory_kib": 64,
        }
    )
    async with open_auth(settings) as auth:
        server, port, _ = build_server([auth.implementation], auth.verifier, settings)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield auth_pb2_grpc.AuthServiceStub(channel)
        finally:
            await server.stop(0)


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What unicodedata.normalize was asked to work on; it does not do it."""
    texts: list[str] = []

    def normalize(_form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        texts.append(text)
        return text

    monkeypatch.setattr(unicodedata, "normalize", normalize)
    return texts


async def token_of(stub: Stub) -> tuple[tuple[str, str], ...]:
    """The metadata of a user who is logged in."""
    request = auth_pb2.RegisterRequest(username="bob", password=PASSWORD)
    token = (await stub.Register(request)).session.access_token
    return (("authorization", f"Bearer {token}"),)


async def refusal_of(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Status, reason and metadata of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info_of(caught.value)
    assert info is not None
    return caught.value.code(), info.reason, dict(info.metadata)


@pytest.mark.parametrize("text", [MARKS, HUGE], ids=["60 KB", "120 KB"])
@pytest.mark.parametrize(
    ("method", "field"), fields_of_text(), ids=lambda value: getattr(value, "name", value)
)
async def test_text_is_refused_unread_when_it_is_longer_than_any(
    method: MethodDescriptor, field: str, text: str, server_stub: Stub, composed: list[str]
) -> None:
    """INVALID_ARGUMENT names the field; nothing that grows faster than the text was begun."""
    metadata = await token_of(server_stub)
    composed.clear()
    fitting = {name: VALID[name] for name in VALID if name in method.input_type.fields_by_name}
    request = GetMessageClass(method.input_type)(**{**fitting, field: text})
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})
    assert expected == await refusal_of(
        getattr(server_stub, method.name)(request, metadata=metadata)
    )
    assert composed == []


async def test_others_are_served_while_huge_passwords_come_in(
    server_stub: Stub, composed: list[str]
) -> None:
    """Thirty of them at once begin no work at all, and an honest login among them is answered."""
    await token_of(server_stub)
    composed.clear()
    huge = [auth_pb2.LoginRequest(username="bob", password=MARKS) for _ in range(30)]
    refusals = [asyncio.ensure_future(refusal_of(server_stub.Login(one))) for one in huge]
    honest = auth_pb2.LoginRequest(username="bob", password=PASSWORD)
    assert (await server_stub.Login(honest)).session.username == "bob"
    assert {code for code, _, _ in await asyncio.gather(*refusals)} == {
        grpc.StatusCode.INVALID_ARGUMENT
    }
    assert composed == [PASSWORD]


async def test_password_of_marks_is_good_when_it_is_within_the_implementation(
    server_stub: Stub,
) -> None:
    """128 characters, whatever they are, register and log in."""
    register = auth_pb2.RegisterRequest(username="marks", password=MARKS[:128])
    await server_stub.Register(register)
    login = auth_pb2.LoginRequest(username="marks", password=MARKS[:128])
    assert (await server_stub.Login(login)).session.username == "marks"


@pytest.mark.parametrize("token", ["x" * 6000, "W1tb" * 1000 + ".e30.e30"], ids=["long", "nested"])
async def test_access_token_is_refused_when_it_is_none_at_all(
    token: str, server_stub: Stub
) -> None:
    """Not an error of ours, and nothing of it is kept: UNAUTHENTICATED."""
    call = server_stub.GetProfile(
        auth_pb2.GetProfileRequest(), metadata=(("authorization", f"Bearer {token}"),)
    )
    assert await refusal_of(call) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", {})
