"""HTTP/2 by hand, for what no client would do: windows that stay shut, resets at once, halves."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_WINDOW_SETTING, _LARGEST_WINDOW, _FIRST_WINDOW = 4, (1 << 31) - 1, 65_535
_CANCEL = struct.pack(">I", 8)
_HEAD = struct.Struct(">BHBBI")  # a frame's length in two pieces, type, flags, stream
_SOON_S = 60


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _HEAD.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def _text(value: str) -> bytes:
    """As HPACK has it, in plain letters."""
    octets = value.encode()
    if len(octets) < 127:
        return bytes([len(octets)]) + octets
    rest = len(octets) - 127
    return bytes([127, 128 + rest % 128, rest // 128]) + octets


def framed(message: bytes) -> bytes:
    """The body of a call of gRPC with one *message*."""
    return b"\0" + struct.pack(">I", len(message)) + message


class RawHttp2(asyncio.Protocol):
    """
    A connection to a gRPC server, or to the edge.

    Args:
        method: Whose calls are made: its path.
        metadata: Of each.
        body: Of each.
        window: Bytes of answers that the server may send on a stream.

    Attributes:
        opened: Calls begun.
        answered: Calls of which a message came back.
        ended: Calls that the server has ended, well or not.
        pongs: Answers to ping(): the server has read all that was sent before.
        is_lost: Whether the server has ended the connection, or said that it will.
    """

    def __init__(
        self,
        method: str,
        metadata: Sequence[tuple[str, str]],
        body: bytes,
        window: int = _LARGEST_WINDOW,
    ) -> None:
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "kuji"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *metadata,
        ]
        self._headers = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)
        self._body = body
        self._window = window
        self._credit = _FIRST_WINDOW
        self._received = bytearray()
        self._progress = asyncio.Event()
        self.opened = self.answered = self.ended = self.pongs = 0
        self.is_lost = False

    @classmethod
    async def connected(cls, address: str, *arguments: object) -> Self:
        """One to *address* (host:port); the others are the class's own."""
        host, _, port = address.rpartition(":")
        make = lambda: cls(*arguments)  # type: ignore[arg-type]  # noqa: E731
        _, connection = await asyncio.get_running_loop().create_connection(make, host, int(port))
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the connection, see asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        setting = struct.pack(">HI", _WINDOW_SETTING, self._window)
        more = struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW)
        self._wire.write(_PREFACE + _frame(_SETTINGS, 0, 0, setting) + _frame(_WINDOW, 0, 0, more))

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        del error
        self.is_lost = True
        self._progress.set()

    def data_received(self, data: bytes) -> None:
        """Take what has come, see asyncio."""
        received = self._received
        received += data
        at = 0
        while len(received) >= at + _HEAD.size:
            high, low, kind, flags, stream = _HEAD.unpack_from(received, at)
            end = at + _HEAD.size + (high << 16 | low)
            if len(received) < end:
                break
            self._take(kind, flags, stream, bytes(received[at + _HEAD.size : end]))
            at = end
        del received[:at]
        self._progress.set()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self.answered += 1
        elif kind in {_HEADERS, _RESET}:
            self.ended += kind == _RESET or flags & _END_STREAM
        elif kind == _WINDOW and not stream:
            self._credit += int.from_bytes(payload)
        elif kind in {_SETTINGS, _PING} and not flags & _ACK:
            self._wire.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _PING:
            self.pongs += 1
        elif kind == _GOAWAY:
            self.is_lost = True

    def begin(self) -> int:
        """Send the head of one more call; its stream."""
        stream = 2 * self.opened + 1
        self.opened += 1
        self._wire.write(_frame(_HEADERS, _END_HEADERS, stream, self._headers))
        return stream

    def send(self, stream: int) -> None:
        """Send all the rest of the call."""
        self._credit -= len(self._body)
        self._wire.write(_frame(_DATA, _END_STREAM, stream, self._body))

    def reset(self, stream: int) -> None:
        """Cancel the call."""
        self._wire.write(_frame(_RESET, 0, stream, _CANCEL))

    def ping(self) -> None:
        """Ask whether the server is there."""
        self._wire.write(_frame(_PING, 0, 0, b"hostile!"))

    def drop(self) -> None:
        """Be gone without a word: what was sent may not have left."""
        with suppress(OSError):
            peer = self._wire.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._wire.abort()

    async def call(self, calls: int, at_once: int) -> None:
        """Make so many *calls*, *at_once* in flight; returns when all have ended."""
        last = self.ended + calls
        begun = 0
        while self.ended < last and not self.is_lost:
            while begun < calls and self._has_room(at_once):
                self.send(self.begin())
                begun += 1
            await self.comes_on()

    def _has_room(self, at_once: int) -> bool:
        return self.opened - self.ended < at_once and self._credit > len(self._body)

    async def comes_on(self) -> None:
        """Return when something has come from the server."""
        self._progress.clear()
        async with asyncio.timeout(_SOON_S):
            await self._progress.wait()
