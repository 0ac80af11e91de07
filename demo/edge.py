"""The JSON face of Kuji, as a client sees it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from demo.patience import EdgeError, patiently

_CALL_TIMEOUT_S = 15.0
_PAGE_SIZE = 100
Json = dict[str, Any]


class Edge:
    """Calls through Envoy, over kept connections."""

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
        return await patiently(lambda: self.call("GET", path, token, query=query))

    async def pages(
        self, path: str, rows: str, token: str = "", **query: str | int
    ) -> AsyncIterator[Json]:
        """Every row of a paged list, whose pages hold them as *rows*."""
        page, has_more = 0, True
        while has_more:
            page += 1
            data = await self.get(path, token, page=page, page_size=_PAGE_SIZE, **query)
            has_more = data["has_more"]
            for row in data[rows]:
                yield row


@asynccontextmanager
async def open_edge(url: str, connections: int) -> AsyncIterator[Edge]:
    """The edge at *url*, over at most so many connections; closed on leaving."""
    connector = aiohttp.TCPConnector(limit=connections)
    timeout = aiohttp.ClientTimeout(total=_CALL_TIMEOUT_S)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        yield Edge(session)
