"""A client of Kuji, by JSON and by gRPC: what a part that is down or busy refuses, it repeats."""

import asyncio
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import aiohttp
import grpc

from ops.connections import Login
from services.common.outages import is_outage

PATIENCE_S = 60.0
RPC_TIMEOUT_S = 10.0
_CALL_TIMEOUT_S = 15.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_PASSING_STATUSES = frozenset({502, 503, 504})
_PAGE_SIZE = 100
_AT_ONCE = 16
_RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
Thing = TypeVar("Thing")
Answer = TypeVar("Answer")
Json = dict[str, Any]


class EdgeError(Exception):
    """
    The edge answered with a failure.

    Args:
        status: Of HTTP.
        reason: Of error_reason.proto, without its prefix.
        message: For people.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


def passes(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    if isinstance(error, EdgeError):
        return error.status in _PASSING_STATUSES or error.reason == "RATE_LIMITED"
    return isinstance(error, aiohttp.ClientError) or is_outage(error)


class Asked(NamedTuple, Generic[Answer]):
    """An answer, the attempts that it took, and the seconds from the first of them to it."""

    answer: Answer
    attempts: int
    seconds: float


async def asked(
    call: Callable[[], Awaitable[Answer]], patience_s: float = PATIENCE_S
) -> Asked[Answer]:
    """
    The answer of *call*, repeated while its failures pass; the last one is raised after
    *patience_s*. *call* must be idempotent, and bounded itself.
    """
    started, attempts, pause_s = time.perf_counter(), 0, _FIRST_PAUSE_S
    while True:
        attempts += 1
        try:
            return Asked(await call(), attempts, time.perf_counter() - started)
        except Exception as error:
            if not passes(error) or time.perf_counter() - started > patience_s:
                raise
        # Spread out, so that those whom one failure hit do not all come back at once.
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


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


class Edge:
    """The JSON face, over kept connections."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        token: str = "",
        body: Json | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Any:  # noqa: ANN401  # an object, or a list
        """
        The *data* of the envelope.

        Raises:
            EdgeError: The edge or a service refused.
            aiohttp.ClientError, TimeoutError: No answer; whether it was done is unknown.
        """
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with self._session.request(
            method, path, json=body, params=query, headers=headers
        ) as response:
            answer: Json = await response.json()
        if answer["status"] != 1:
            raise EdgeError(response.status, answer["reason"], answer["msg"])
        return answer["data"]

    async def events(self, path: str) -> AsyncIterator[Json]:
        """
        The data of each event of a stream, until it ends.

        Raises:
            EdgeError: It was refused.
            aiohttp.ClientError, TimeoutError: It was cut, or gives nothing for long.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=_CALL_TIMEOUT_S, sock_read=_CALL_TIMEOUT_S)
        async with self._session.get(path, timeout=timeout) as response:
            if response.content_type != "text/event-stream":
                answer: Json = await response.json()
                raise EdgeError(response.status, answer["reason"], answer["msg"])
            async for line in response.content:
                if line.startswith(b"data:") and line.endswith(b"\n"):  # else it was cut within
                    yield json.loads(line[5:])

    async def get(self, path: str, token: str = "", **query: str | int) -> Any:  # noqa: ANN401
        """The data of a GET, repeated while its failures pass."""
        return (await asked(lambda: self.call("GET", path, token, query=query))).answer

    async def pages(
        self, path: str, rows: str, token: str = "", **query: str | int
    ) -> AsyncIterator[Json]:
        """Every row of a paged list, whose pages hold them as *rows*."""
        page, has_more = 0, True
        while has_more:
            page += 1
            data = await self.get(path, token, page=page, page_size=_PAGE_SIZE, **query)
            # The compatible lists say the number of their last page instead.
            has_more = data.get("has_more", page < data.get("last_page", 0))
            for row in data[rows]:
                yield row


@asynccontextmanager
async def open_edge(url: str, connections: int) -> AsyncIterator[Edge]:
    """The edge at *url*, over at most so many connections; closed on leaving."""
    connector = aiohttp.TCPConnector(limit=connections)
    timeout = aiohttp.ClientTimeout(total=_CALL_TIMEOUT_S)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        yield Edge(session)


@asynccontextmanager
async def open_channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A gRPC channel to *address* that is soon back after a restart there; closed on leaving."""
    async with grpc.aio.insecure_channel(address, options=_RECONNECT) as channel:
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
