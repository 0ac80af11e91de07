"""A client of the edge: what is down or busy refuses, and is asked again."""

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, NamedTuple, TypeVar

import aiohttp

from services.common.outages import is_outage

PATIENCE_S = 60.0
_CALL_TIMEOUT_S = 15.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_PASSING_STATUSES = frozenset({502, 503, 504})
_PAGE_SIZE = 100
Answer = TypeVar("Answer")
Json = dict[str, Any]


class EdgeError(Exception):
    """
    The edge answered with a failure.

    Args:
        status: Of HTTP.
        reason: Of error_reason.proto, without its prefix.
        message: For people.
        metadata: What the reason comes with.
    """

    def __init__(
        self, status: int, reason: str, message: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.metadata = metadata or {}


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
            metadata = answer.get("metadata")
            raise EdgeError(response.status, answer["reason"], answer["msg"], metadata)
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
async def open_edge(
    url: str, connections: int, trusted: ssl.SSLContext | None = None
) -> AsyncIterator[Edge]:
    """
    The edge at *url*, over at most so many connections; closed on leaving.

    Args:
        trusted: By what its certificate is checked; None: what this machine trusts.
    """
    connector = aiohttp.TCPConnector(limit=connections, ssl=trusted or True)
    timeout = aiohttp.ClientTimeout(total=_CALL_TIMEOUT_S)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        yield Edge(session)
