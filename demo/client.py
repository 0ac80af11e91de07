"""A client of Kuji, by JSON and by gRPC: what a part that is down or busy refuses, it repeats."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import grpc

from ops.connections import Login
from ops.edge import (
    PATIENCE_S,
    Answer,
    Asked,
    Edge,
    EdgeError,
    Json,
    asked,
    open_edge,
    passes,
)
from services.common.settings import TlsSettings, read_settings
from services.common.tls import Identity, channel_credentials

__all__ = [
    "PATIENCE_S",
    "RPC_TIMEOUT_S",
    "Asked",
    "Edge",
    "EdgeError",
    "Json",
    "Player",
    "asked",
    "bearer",
    "for_each",
    "log_in",
    "open_channel",
    "open_edge",
    "passes",
    "register_players",
]

RPC_TIMEOUT_S = 10.0
_AT_ONCE = 16
_RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
Thing = TypeVar("Thing")


async def for_each(
    things: Iterable[Thing], work: Callable[[Thing], Awaitable[Answer]]
) -> list[Answer]:
    """What *work* gives for each of *things*, in their order; a bounded number at a time."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(thing: Thing) -> Answer:
        async with gate:
            return await work(thing)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(thing)) for thing in things]
    return [task.result() for task in tasks]


@asynccontextmanager
async def open_channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A gRPC channel to *address* that is soon back after a restart there; closed on leaving."""
    if (tls := read_settings(TlsSettings).tls) is not None:
        credentials = channel_credentials(Identity(tls).current())
        opened = grpc.aio.secure_channel(address, credentials, options=_RECONNECT)
    else:
        opened = grpc.aio.insecure_channel(address, options=_RECONNECT)
    async with opened as channel:
        yield channel


def bearer(token: str) -> list[tuple[str, str]]:
    """The metadata of an RPC with *token*."""
    return [("authorization", f"Bearer {token}")]


@dataclass(frozen=True, slots=True)
class Player:
    """A registered user."""

    user_id: int
    username: str
    token: str


async def log_in(edge: Edge, admin: Login) -> str:
    """An administrator's access token."""
    body = admin.model_dump()
    session = await asked(lambda: edge.call("POST", "/admin/api/login", body=body))
    token: str = session.answer["access_token"]
    return token


async def register_players(
    edge: Edge, count: int, prefix: str, on_registered: Callable[[], None] = lambda: None
) -> list[Player]:
    """*count* new users."""

    async def register(number: int) -> Player:
        player = await _register(edge, f"{prefix}-{number}")
        on_registered()
        return player

    return await for_each(range(1, count + 1), register)


async def _register(edge: Edge, username: str) -> Player:
    credentials = {"username": username, "password": secrets.token_urlsafe(12)}

    async def attempt() -> Player:
        try:
            session = await edge.call("POST", "/api/auth/register", body=credentials)
        except EdgeError as error:
            if error.reason != "USERNAME_TAKEN":
                raise
            # An earlier attempt did it, and its answer was lost.
            session = await edge.call("POST", "/api/auth/login", body=credentials)
        return Player(int(session["user_id"]), username, session["access_token"])

    return (await asked(attempt)).answer
