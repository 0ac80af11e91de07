"""A running auth service, and callers of it from wherever a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc

from services.auth.assembly import open_auth
from services.auth.settings import AuthSettings
from services.common.server.serve import build_server
from services.common.status import error_info_of

if TYPE_CHECKING:
    from kuji.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub as Stub

PASSWORD = "correct horse"
ADMIN_PASSWORD = "battery staple"
SERVICE_SECRET = "sixteen or more characters"
EDGE_SECRET = "what the edge shows"

Metadata = tuple[tuple[str, str], ...]
Failure = tuple[grpc.StatusCode, str, dict[str, str]]  # with the reason and its metadata

UNAUTHENTICATED: Failure = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", {})
BAD_CREDENTIALS: Failure = (grpc.StatusCode.UNAUTHENTICATED, "BAD_CREDENTIALS", {})


def settings_of(dsn: str, **changes: Any) -> AuthSettings:
    """Settings for tests: cheap hashes, a free port."""
    return AuthSettings.model_validate(
        {
            "listen": "127.0.0.1:0",
            "postgres_dsn": dsn,
            "token_key_secret": "5e" * 32,
            "service_secret": SERVICE_SECRET,
            "edge_secret": EDGE_SECRET,
            "admin_password": ADMIN_PASSWORD,
            "argon2_memory_kib": 64,
            **changes,
        }
    )


@asynccontextmanager
async def serving(dsn: str, **changes: Any) -> AsyncIterator[Stub]:
    """A stub of a running service."""
    async with listening(dsn, **changes) as address, connected(address) as stub:
        yield stub


@asynccontextmanager
async def listening(dsn: str, **changes: Any) -> AsyncIterator[str]:
    """The address of a running service."""
    settings = settings_of(dsn, **changes)
    async with open_auth(settings) as auth:
        server, port, _ = build_server([auth.implementation], auth.verifier, settings)
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(0)


@asynccontextmanager
async def connected(address: str, user_agent: str = "a test") -> AsyncIterator[Stub]:
    """A stub over a connection of its own, of a client that says to be *user_agent*."""
    own = (
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.primary_user_agent", user_agent),
    )
    async with grpc.aio.insecure_channel(address, options=own) as channel:
        yield auth_pb2_grpc.AuthServiceStub(channel)


def bearer(access_token: str) -> Metadata:
    """The metadata that carries a token."""
    return (("authorization", f"Bearer {access_token}"),)


def by_edge(address: str) -> Metadata:
    """The metadata of a call that the edge says came from *address*."""
    return (("x-kuji-edge", EDGE_SECRET), ("x-kuji-client-address", address))


async def failure_of(call: Awaitable[Any]) -> Failure:
    """Status, reason and metadata of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info_of(caught.value)
    assert info is not None
    return caught.value.code(), info.reason, dict(info.metadata)


async def reason_of(call: Awaitable[Any]) -> str:
    """The reason of a call's failure; "OK" where it succeeds."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        info = error_info_of(error)
        assert info is not None
        return str(info.reason)
    return "OK"


async def register(
    stub: Stub, username: str = "alice", email: str = "", *, at: str = "192.0.2.1"
) -> auth_pb2.Session:
    """A new user's session, got from the address *at*."""
    request = auth_pb2.RegisterRequest(username=username, password=PASSWORD, email=email)
    return (await stub.Register(request, metadata=by_edge(at))).session


async def login(
    stub: Stub, username: str = "alice", password: str = PASSWORD, *, at: str = "192.0.2.1"
) -> auth_pb2.Session:
    """A session, got from the address *at*."""
    request = auth_pb2.LoginRequest(username=username, password=password)
    return (await stub.Login(request, metadata=by_edge(at))).session


async def refresh(stub: Stub, refresh_token: str) -> auth_pb2.Session:
    """The next session."""
    return (await stub.Refresh(auth_pb2.RefreshRequest(refresh_token=refresh_token))).session
