"""One call of the method, of whichever of the four kinds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor

from ops.ghz.call_data import CallNumber
from ops.ghz.notation import NS_PER_S
from ops.ghz.options import GhzOptions
from ops.ghz.outcomes import ENDED_BY_CLIENT, OK, Outcome, outcome_of
from ops.ghz.payloads import Metadata, Payloads

_EOF = grpc.aio.EOF  # type: ignore[attr-defined]
LONGEST_CALL_S = 3600.0  # where the timeout is "none"

# Begins a call at once, and waits for its end; the call is there to be cut off.
Begun = tuple[Any, Awaitable[Outcome]]
Begin = Callable[[CallNumber, Metadata], Begun]


def caller_of(
    options: GhzOptions, method: MethodDescriptor, payloads: Payloads, channel: grpc.aio.Channel
) -> Begin:
    """How calls of *method* are made on *channel*; messages are bytes both ways."""
    service = method.containing_service.full_name
    path = f"/{service}/{method.name}"
    timeout_s = options.timeout / NS_PER_S if options.timeout else LONGEST_CALL_S
    if not method.client_streaming and not method.server_streaming:
        return _unary(channel.unary_unary(path, None, None), payloads, timeout_s)
    kind = _Streams(options, payloads, timeout_s)
    if not method.client_streaming:
        return kind.expanding(channel.unary_stream(path, None, None))
    if not method.server_streaming:
        return kind.collecting(channel.stream_unary(path, None, None))
    return kind.chatting(channel.stream_stream(path, None, None))


def _unary(stub: Any, payloads: Payloads, timeout_s: float) -> Begin:
    async def end(call: Any) -> Outcome:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return outcome_of(error.code(), error.details())
        return OK

    def begin(number: CallNumber, metadata: Metadata) -> Begun:
        call = stub(payloads.one(number), timeout=timeout_s, metadata=metadata)
        return call, end(call)

    return begin


class _Streams:
    """The three kinds of call with a stream, as the stream options have them."""

    def __init__(self, options: GhzOptions, payloads: Payloads, timeout_s: float) -> None:
        self._payloads, self._timeout_s = payloads, timeout_s
        self._count = options.stream_call_count
        self._interval_s = options.stream_interval / NS_PER_S
        self._duration_s = options.stream_call_duration / NS_PER_S

    def expanding(self, stub: Any) -> Begin:
        """One message out, many in."""

        def begin(number: CallNumber, metadata: Metadata) -> Begun:
            message = self._payloads.one(number)
            call = stub(message, timeout=self._timeout_s, metadata=metadata)
            return call, self._read(call)

        return begin

    async def _read(self, call: Any) -> Outcome:
        ends_at = self._ends_at()
        count = 0
        try:
            while await call.read() is not _EOF:
                count += 1
                if count == self._count or asyncio.get_running_loop().time() >= ends_at:
                    call.cancel()
                    return ENDED_BY_CLIENT
        except grpc.aio.AioRpcError as error:
            return outcome_of(error.code(), error.details())
        return outcome_of(await call.code(), await call.details())

    def collecting(self, stub: Any) -> Begin:
        """Many messages out, one in."""

        async def end(call: Any, number: CallNumber) -> Outcome:
            await self._write(call, number)
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return outcome_of(error.code(), error.details())
            return OK

        def begin(number: CallNumber, metadata: Metadata) -> Begun:
            call = stub(timeout=self._timeout_s, metadata=metadata)
            return call, end(call, number)

        return begin

    def chatting(self, stub: Any) -> Begin:
        """Many messages out and in, each at its own pace."""

        async def end(call: Any, number: CallNumber) -> Outcome:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._write(call, number))
                reading = both.create_task(_read_all(call))
            return reading.result()

        def begin(number: CallNumber, metadata: Metadata) -> Begun:
            call = stub(timeout=self._timeout_s, metadata=metadata)
            return call, end(call, number)

        return begin

    async def _write(self, call: Any, number: CallNumber) -> None:
        """Send messages until they, the count or the time end, or the call does."""
        ends_at = self._ends_at()
        now = asyncio.get_running_loop().time
        messages = self._payloads.stream(number, self._count)
        message = next(messages, None)
        try:
            while message is not None and now() < ends_at and not call.done():
                await call.write(message)
                message = next(messages, None)
                if message is not None and self._interval_s:
                    await asyncio.sleep(min(self._interval_s, max(0.0, ends_at - now())))
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the call is over; whoever reads learns how

    def _ends_at(self) -> float:
        longest = self._duration_s or LONGEST_CALL_S
        return asyncio.get_running_loop().time() + longest


async def _read_all(call: Any) -> Outcome:
    try:
        while await call.read() is not _EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return outcome_of(error.code(), error.details())
    return outcome_of(await call.code(), await call.details())
