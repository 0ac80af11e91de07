"""A call as it comes from the core: what its handler asks of it, and its answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # grpc's stubs end above it

from services.common.server.front.events import Tag

Metadata = Sequence[tuple[str, str | bytes]]

_NO_FLAGS = 0
# A client of grpc.aio takes a refusal that is faster than its first message for its own defect.
_HEARS_S = 0.1
_NOBODY_WAITS_SO_LONG_S = 1e9  # what the core says where there is no deadline


def _nothing(_: object) -> None:
    pass


class FrontCall:
    """
    A call.

    Args:
        event: The core's, of its arrival.
    """

    __slots__ = ("_core", "_event", "_first", "_has_begun", "is_over", "left")

    def __init__(self, event: Any) -> None:  # noqa: ANN401
        self.is_over = False
        self.left: Callable[[], object] | None = None  # what to do when the caller leaves
        self._event = event
        self._core = event.call
        self._has_begun = False
        self._first: asyncio.Future[Any] | None = None

    def begin(self) -> None:
        """Hear when the caller leaves."""
        self._do((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._closed)

    def receive(self, tag: Tag) -> None:
        """Let *tag* be called when a message has come, or no further one will; see message_of."""
        self._do((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), tag)

    def invocation_metadata(self) -> Metadata:
        """What came with it."""
        metadata: Metadata = self._event.invocation_metadata
        return metadata

    def time_remaining(self) -> float | None:
        """Seconds until its deadline; None: it has none."""
        remaining_s = float(self._event.call_details.deadline) - time.time()
        return max(remaining_s, 0.0) if remaining_s < _NOBODY_WAITS_SO_LONG_S else None

    def peer(self) -> str:
        """The other end of the connection."""
        peer: str | bytes = self._core.peer()
        return peer.decode() if isinstance(peer, bytes) else peer

    def answer(self, response: bytes) -> None:
        """End it well, with the one *response*."""
        if not self.is_over:
            self.is_over = True
            message = cygrpc.SendMessageOperation(response, _NO_FLAGS)
            self._do((*self._beginning(), message, _WELL), _nothing)

    def end(self) -> None:
        """End it well, after what was written."""
        if not self.is_over:
            self.is_over = True
            self._do((*self._beginning(), _WELL), _nothing)

    def refuse(self, code: grpc.StatusCode, details: str, trailers: Metadata | None = None) -> None:
        """End it with a failure."""
        if not self.is_over:
            self.is_over = True
            status = _status(code.value[0], details, trailers)
            self._do((*self._beginning(), status), _nothing)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailers: Metadata | None = None
    ) -> NoReturn:
        """See grpc.aio.ServicerContext."""
        if self._first is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARS_S):
                    await asyncio.shield(self._first)
        self.refuse(code, details, trailers)
        raise grpc.aio.AbortError

    async def send_initial_metadata(self, metadata: Metadata) -> None:
        """See grpc.aio.ServicerContext."""
        if not self._has_begun and not self.is_over:
            self._has_begun = True
            self._do((cygrpc.SendInitialMetadataOperation(tuple(metadata), _NO_FLAGS),), _nothing)

    async def messages(self, parse: Callable[[bytes], Any]) -> AsyncIterator[Any]:
        """What its caller streams."""
        coming = self._first
        while coming is not None and not self.is_over:
            message = message_of(await asyncio.shield(coming))
            if message is None:
                return
            yield parse(message)
            coming = self._coming()

    def hear(self) -> None:
        """Receive the first message of several."""
        self._first = self._coming()

    def _coming(self) -> asyncio.Future[Any]:
        coming: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.receive(coming.set_result)
        return coming

    async def write(self, response: bytes) -> None:
        """Send one message of several; returns when there is room for the next."""
        if self.is_over:
            raise grpc.aio.AbortError
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        message = cygrpc.SendMessageOperation(response, _NO_FLAGS)
        self._do((*self._beginning(), message), sent.set_result)
        await asyncio.shield(sent)

    def _beginning(self) -> tuple[Any, ...]:
        if self._has_begun:
            return ()
        self._has_begun = True
        return (_BEGINNING,)

    def _do(self, operations: tuple[Any, ...], tag: Tag) -> None:
        self._core.start_server_batch(operations, tag)

    def _closed(self, event: Any) -> None:  # noqa: ANN401
        if event.batch_operations[0].cancelled():
            self.is_over = True
            if self.left is not None:
                self.left()


def message_of(event: Any) -> bytes | None:  # noqa: ANN401
    """What a receive() has brought; None: the caller sends no more, or has left."""
    message: bytes | None = event.batch_operations[0].message() if event.success else None
    return message


def _status(code: int, details: str, trailers: Metadata | None) -> Any:  # noqa: ANN401
    return cygrpc.SendStatusFromServerOperation(trailers, code, details.encode(), _NO_FLAGS)


# They hold nothing that is of one call, so that all may share them.
_BEGINNING = cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS)
_WELL = _status(cygrpc.StatusCode.ok, "", None)
