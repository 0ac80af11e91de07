"""A client of HTTP/1.1 that costs next to nothing: what it uses, the servers beside it lack."""

import asyncio
import re
from typing import NamedTuple, cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_STATUS = slice(9, 12)


class Response(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes


def response_in(received: bytes) -> Response | None:
    """The response that *received* holds, and nothing but it; None: there is more to come."""
    head, end, body = received.partition(_END)
    if not end:
        return None
    if length := _LENGTH.search(head):
        return Response(int(head[_STATUS]), body) if len(body) >= int(length[1]) else None
    return Response(int(head[_STATUS]), _joined(body)) if body.endswith(_LAST_CHUNK) else None


def _joined(chunked: bytes) -> bytes:
    pieces, at = [], 0
    while size := int(chunked[at : (start := chunked.index(b"\r\n", at) + 2)], 16):
        pieces.append(chunked[start : start + size])
        at = start + size + 2
    return b"".join(pieces)


class Connection(asyncio.Protocol):
    """A kept connection: one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = b""
        self._answer: asyncio.Future[Response] | None = None

    async def ask(self, request: bytes, timeout_s: float) -> Response:
        """
        The response to *request*.

        Raises:
            ConnectionError: The server hung up.
            TimeoutError: It does not answer.
        """
        if self._transport.is_closing():
            raise ConnectionResetError("the server hung up")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Response] = loop.create_future()
        self._answer = answer
        late = loop.call_later(timeout_s, self._end, TimeoutError("no answer"))
        self._transport.write(request)
        try:
            return await answer
        finally:
            late.cancel()

    def _end(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none of asyncio's

    def data_received(self, data: bytes) -> None:
        """Some of an answer, or all of it."""
        self._received += data
        response = response_in(self._received)
        if response is None or self._answer is None or self._answer.done():
            return
        self._received = b""
        self._answer.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self._end(exc or ConnectionResetError("the server hung up"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def connect(target: str) -> Connection:
    """A connection to host:port."""
    host, _, port = target.rpartition(":")
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, host, int(port))
    return connection


def request_bytes(method: str, path: str, token: str = "", body: bytes = b"") -> bytes:
    """A request, ready to be sent."""
    lines = [f"{method} {path} HTTP/1.1", "host: kuji"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
