"""A server on grpc's core, as grpc.aio.Server is one: with the calls of some RPCs gathered."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import structlog
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # grpc's stubs end above it

from services.common.server.front.call import FrontCall, message_of
from services.common.server.front.events import Events

log = structlog.get_logger()

# Calls that the core may match before the event loop asks again: the others wait unread in it, and
# their callers' windows fill.
_ASKED_AHEAD = 256
_CANCELLED_S = 1.0

Arrived = tuple[bytes, FrontCall]
TakeAll = Callable[[Sequence[Arrived]], None]
Work = Callable[[], Awaitable[None]]


class FrontServer(grpc.aio.Server):
    """
    Serves handlers as grpc.aio does, each call in a task of its own, and some RPCs without.

    Args:
        options: Of the core, as grpc.aio.server takes them.
    """

    def __init__(self, options: Sequence[tuple[str, int]]) -> None:
        self._core = cygrpc.Server(tuple(options), False)
        self._events = Events(self._hand_over)
        self._core.register_completion_queue(self._events.queue)
        self._generic: list[grpc.GenericRpcHandler[Any, Any]] = []
        self._handlers: dict[bytes, Any] = {}
        self._gathered: dict[bytes, tuple[TakeAll, list[tuple[bytes | None, FrontCall]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._shut = asyncio.Event()
        self._asked = 0  # calls that have not come yet

    def gather(self, path: str, take: TakeAll) -> None:
        """Let *take* have all calls of the RPC at *path* that have arrived; it answers each."""
        self._gathered[path.encode()] = (take, [])

    def add_generic_rpc_handlers(
        self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler[Any, Any]]
    ) -> None:
        """See grpc.aio.Server."""
        self._generic.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, Any]
    ) -> None:
        """Generated code names its handlers in both ways; the generic one is enough."""

    def add_insecure_port(self, address: str) -> int:
        """See grpc.aio.Server."""
        return self._bound(address, self._core.add_http2_port(address.encode()))

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """See grpc.aio.Server."""
        own = server_credentials._credentials  # type: ignore[attr-defined]  # noqa: SLF001
        return self._bound(address, self._core.add_http2_port(address.encode(), own))

    def _bound(self, address: str, port: int) -> int:
        if not port:
            raise RuntimeError(f"Failed to bind to address {address}")
        return port

    async def start(self) -> None:
        """See grpc.aio.Server."""
        self._core.start()
        self._ask()
        self._events.start()

    async def stop(self, grace: float | None = None) -> None:
        """See grpc.aio.Server."""
        if not self._is_closing:
            self._is_closing = True
            self._core.shutdown(self._events.queue, self._note_shut)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace or 0):
                await self._shut.wait()
        if not self._shut.is_set():
            self._core.cancel_all_calls()
            for task in self._tasks:
                task.cancel()
            await self._shut.wait()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CANCELLED_S)
        self._core.destroy()
        self._events.close()
        await self._events.ended.wait()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """See grpc.aio.Server."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._events.ended.wait()
        return not self._events.ended.is_set()

    def _note_shut(self, _event: Any) -> None:  # noqa: ANN401
        self._shut.set()

    def _arrive(self, event: Any) -> None:  # noqa: ANN401
        self._asked -= 1
        if not event.success:  # the server closes
            return
        call = FrontCall(event)
        call.begin()
        method: bytes = event.call_details.method
        gathered = self._gathered.get(method)
        if gathered is not None:
            arrived = gathered[1]
            call.receive(lambda event: arrived.append((message_of(event), call)))
            return
        handler = self._handler(method, event)
        if handler is None:
            call.refuse(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        elif handler.request_streaming:
            self._begin(handler, call, None)
        else:
            call.receive(lambda event: self._begin(handler, call, message_of(event)))

    def _handler(self, method: bytes, event: Any) -> Any:  # noqa: ANN401
        handler = self._handlers.get(method)
        if handler is None:
            details = _Details(method.decode(errors="replace"), event.invocation_metadata)
            found = (one.service(details) for one in self._generic)
            handler = next((one for one in found if one is not None), None)
            if handler is not None:  # others are as many as strangers like
                self._handlers[method] = handler
        return handler

    def _ask(self) -> None:
        while not self._is_closing and self._asked < _ASKED_AHEAD:
            self._core.request_call(self._events.queue, self._events.queue, self._arrive)
            self._asked += 1

    def _hand_over(self) -> None:
        self._ask()
        for take, arrived in self._gathered.values():
            if arrived:
                whole = [(message, call) for message, call in arrived if message is not None]
                for message, call in arrived:
                    if message is None:
                        _refuse_empty(call)
                arrived.clear()
                _have_taken(take, whole)

    def _begin(self, handler: Any, call: FrontCall, message: bytes | None) -> None:  # noqa: ANN401
        if call.is_over:  # its caller left before; nobody would be there to cancel it
            return
        if handler.request_streaming:
            call.hear()
        elif message is None:
            _refuse_empty(call)
            return
        self.run(partial(_served, handler, call, message), call)

    def run(self, work: Work, call: FrontCall) -> None:
        """Let *work* answer *call*; it is cancelled when the caller leaves."""
        task = asyncio.get_running_loop().create_task(_answered(work, call))
        self._tasks.add(task)
        call.left = task.cancel

        def forget(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            call.left = None

        task.add_done_callback(forget)


def _as_it_is(message: bytes) -> bytes:
    return message


class _Details(grpc.HandlerCallDetails):
    def __init__(self, method: str, metadata: Any) -> None:  # noqa: ANN401
        self.method = method
        self.invocation_metadata = metadata


def _have_taken(take: TakeAll, arrived: Sequence[Arrived]) -> None:
    try:
        take(arrived)
    except Exception:
        log.exception("calls were not taken")
        for _, call in arrived:  # those that were answered already are over
            call.refuse(grpc.StatusCode.UNKNOWN, "Unexpected error.")


def _refuse_empty(call: FrontCall) -> None:
    call.refuse(grpc.StatusCode.INTERNAL, "The request has no message.")


async def _answered(work: Work, call: FrontCall) -> None:
    try:
        await work()
    except grpc.aio.AbortError:
        pass  # it was answered
    except asyncio.CancelledError:
        call.refuse(grpc.StatusCode.CANCELLED, "")
        raise
    except Exception:
        log.exception("a handler failed")
        call.refuse(grpc.StatusCode.UNKNOWN, "Unexpected error.")


async def _served(handler: Any, call: FrontCall, message: bytes | None) -> None:  # noqa: ANN401
    parse = handler.request_deserializer or _as_it_is
    request = call.messages(parse) if message is None else parse(message)
    if not handler.response_streaming:
        response = await handler.unary_unary(request, call)
        call.answer(handler.response_serializer(response))
        return
    behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
    async for response in _closing(behaviour(request, call)):
        await call.write(handler.response_serializer(response))
    call.end()


async def _closing(responses: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        async for response in responses:
            yield response
    finally:
        close = getattr(responses, "aclose", None)
        if close is not None:
            await close()
