"""A kept connection of the generator, and the draws that are made over it, one after the other."""

import asyncio
import time
from collections import Counter
from typing import NamedTuple, Protocol, cast

from tests.bench.http11 import response_in

_OK = 200
_AGAIN_S = 0.1
_SHOWN_BYTES = 200


class Draw(NamedTuple):
    """One that is asked for: its number, and the bytes of its request."""

    number: int
    request: bytes


class Source(Protocol):
    """Where draws come from, and where their answers go."""

    failures: Counter[str]

    def next_draw(self) -> Draw | None:
        """Whose turn it is; None: it is over."""

    def note(self, draw: Draw, body: bytes, wait_s: float) -> None:
        """A draw was answered."""


class Lane(asyncio.Protocol):
    """
    A connection with at most one draw under way.

    Args:
        host: Of the server.
        port: Of the server.
        source: Where draws come from.
        patience_s: How long a draw without an answer is asked for again; 0: that ends the lane.
    """

    def __init__(self, host: str, port: int, source: Source, patience_s: float) -> None:
        self._host = host
        self._port = port
        self._source = source
        self._patience_s = patience_s
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._draw: Draw | None = None
        self._sent = 0.0
        self._again: asyncio.Task[None] | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Open it; nothing is sent yet."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self._host, self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._received = b""

    def begin(self) -> None:
        """Make the next draw, if there is one."""
        self._draw = self._source.next_draw()
        if self._draw is None:
            self._end()
            return
        self._sent = time.monotonic()
        self._send()

    def _send(self) -> None:
        assert self._draw is not None
        assert self._transport is not None
        self._transport.write(self._draw.request)

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Some of an answer, or all of it."""
        self._received = received = self._received + data if self._received else data
        response = response_in(received)
        if response is None or self._draw is None:
            return
        self._received = b""
        if response.status != _OK:
            said = response.body[:_SHOWN_BYTES].decode(errors="replace")
            self._fail(f"{response.status}: {said}")
            return
        self._source.note(self._draw, response.body, time.monotonic() - self._sent)
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed; by the server, while a draw is under way."""
        self._transport = None
        if self._draw is not None and not self.ended.done():
            self._fail(f"hung up: {exc or 'without a word'}")

    def _fail(self, what: str) -> None:
        self._source.failures[what] += 1
        if not self._patience_s:
            self._end()
        elif time.monotonic() - self._sent > self._patience_s:
            self._source.failures["given up"] += 1
            self._end()
        elif self._again is None or self._again.done():
            self._again = asyncio.create_task(self._ask_again())

    async def _ask_again(self) -> None:
        await asyncio.sleep(_AGAIN_S)
        while self._transport is None:
            try:
                await self.connect()
            except OSError:
                await asyncio.sleep(_AGAIN_S)
        self._send()
