"""One RPC of a servicer, as the transport calls it: admitted, in bounds, answered or refused."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, NoReturn

import grpc
import structlog
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from structlog.contextvars import bound_contextvars

from services.common.bounds import check, checks_of
from services.common.contract import access_of, reasons_of
from services.common.errors import InvalidArgumentError, KujiError
from services.common.failures import defect, to_kuji_error
from services.common.metrics import CALLS, DURATION_S, UNSTATED_REASONS
from services.common.server.gate import Call, Gate
from services.common.server.patience import TimeBound
from services.common.status import details_of, status_of
from services.common.stopped import BOUNDS, LOAD, TOKEN, count_stopped
from services.common.tasks import stray_cancellation

log = structlog.get_logger()

CALLER_LEFT = "CALLER_LEFT"  # in the metrics; nobody is there to be told
_END = object()
_DEFECT = "INTERNAL"
_NAMES = ("request_id", "order_num")


class Refusal(NamedTuple):
    """How a call ends that fails: what abort() of its context takes."""

    status: grpc.StatusCode
    message: str
    trailers: tuple[tuple[str, bytes], ...]


class Rpc:
    """
    An RPC.

    Args:
        function: The servicer's method, see serve.Implementation.
        strict: Answer a reason that the RPC does not state as the defect that it is.

    Raises:
        ValueError: Its proto does not say who may call it, or what a field may hold.
    """

    def __init__(
        self,
        function: Any,  # noqa: ANN401
        descriptor: MethodDescriptor,
        gate: Gate,
        *,
        strict: bool,
    ) -> None:
        self._function = function
        self._gate = gate
        self._load = gate.streams if descriptor.server_streaming else gate.calls
        self._strict = strict
        self.access = access_of(descriptor)
        self._reasons = reasons_of(descriptor)
        self._message_of = message_factory.GetMessageClass(descriptor.input_type).FromString
        self._streams_in = descriptor.client_streaming
        self._name = descriptor.name
        self.layer = descriptor.containing_service.full_name.split(".")[1]
        self._calls = CALLS.labels(descriptor.name, "OK")
        CALLS.labels(descriptor.name, _DEFECT)  # from nought on: the first one is a rise, too
        self._duration_s = DURATION_S.labels(descriptor.name)
        self._uncounted = 0
        self._checks = checks_of(descriptor.input_type)

    async def unary(self, request: Any, call: Call) -> Any:  # noqa: ANN401
        """Answer once."""
        started = time.perf_counter()
        failing = _Failing(self, call)
        try:
            with self._load:
                failing.layer = TOKEN
                async with TimeBound(self._gate.bounds, self._gate.patience_s(call), failing.late):
                    ctx = await self._gate.admit(self.access, call)
                    failing.layer = BOUNDS
                    message = failing.message = self.parse(request)
                    failing.layer = self.layer
                    response = await self._function(message, ctx)
        except asyncio.CancelledError:
            await failing.by(self._given_up())
        except Exception as error:  # noqa: BLE001  # the boundary: everything gets a reason
            await failing.by(error)
        if failing.is_answered:
            await failing.by(TimeoutError())
        self.count_answered(time.perf_counter() - started)
        return response

    async def stream(self, request: Any, call: Call) -> AsyncIterator[Any]:  # noqa: ANN401
        """Answer as often as the servicer does."""
        failing = _Failing(self, call)
        try:
            with self._load:
                failing.layer = TOKEN
                async with TimeBound(self._gate.bounds, self._gate.patience_s(call), failing.late):
                    ctx = await self._gate.admit(self.access, call)
                failing.layer = BOUNDS
                messages = self._parsed(request)
                failing.layer = self.layer
                responses = aiter(self._function(messages, ctx))
                while (response := await self._next(responses, failing)) is not _END:
                    if response is None:
                        await call.send_initial_metadata(())
                    else:
                        yield response
        except asyncio.CancelledError:
            await failing.by(self._given_up())
        except Exception as error:  # noqa: BLE001  # the boundary: everything gets a reason
            await failing.by(error)
        self._calls.inc()

    async def _next(self, responses: AsyncIterator[Any], failing: _Failing) -> Any:  # noqa: ANN401
        # Each step alone: between two of them, it is grpc that waits, and takes no TimeoutError.
        async with TimeBound(self._gate.bounds, None, failing.late):
            response = await anext(responses, _END)
        if failing.is_answered:
            raise TimeoutError
        return response

    def _given_up(self) -> OSError:
        """What a cancellation was that has not come from the caller; that one goes on."""
        try:
            return stray_cancellation()
        except asyncio.CancelledError:
            self.count_left()
            raise

    def count_left(self) -> None:
        """Count a caller who did not wait for his answer."""
        CALLS.labels(self._name, CALLER_LEFT).inc()

    def count_answered(self, after_s: float) -> None:
        """Count a call that was answered after so many seconds."""
        self._duration_s.observe(after_s)
        # Those of one turn of the event loop at once: the counter takes a lock each time.
        if not self._uncounted:
            asyncio.get_running_loop().call_soon(self._count)
        self._uncounted += 1

    def _count(self) -> None:
        self._calls.inc(self._uncounted)
        self._uncounted = 0

    def _parsed(self, request: Any) -> Any:  # noqa: ANN401
        if self._streams_in:
            return (self.parse(one) async for one in request)
        return self.parse(request)

    def parse(self, request: bytes) -> Message:
        """The message that *request* is; InvalidArgumentError if it is none, or out of bounds."""
        try:
            message = self._message_of(request)
        except DecodeError as error:
            raise InvalidArgumentError("body", "The message is malformed.") from error
        self.check(message)
        return message

    def check(self, message: Message) -> None:
        """InvalidArgumentError with the path of the first field that is out of bounds."""
        check(message, self._checks)

    async def fail(
        self, call: Call, error: Exception, layer: str, message: Message | None = None
    ) -> NoReturn:
        """End *call*, which asked for *message*, with the reason that *error*, of *layer*, has."""
        await call.abort(*self.refusal(error, layer, message))

    def refusal(self, error: Exception, layer: str, message: Message | None = None) -> Refusal:
        """How a call that asked for *message* ends by *error*, of *layer*; it is counted."""
        with bound_contextvars(**_names_in(message)):
            outward = self._stated(to_kuji_error(error, self._name))
            log.debug("refused", method=self._name, reason=outward.reason_name, layer=layer)
        CALLS.labels(self._name, outward.reason_name).inc()
        count_stopped(layer, outward)
        trailers = (("grpc-status-details-bin", details_of(outward)),)
        return Refusal(status_of(outward), outward.message, trailers)

    def _stated(self, error: KujiError) -> KujiError:
        """*error*, whose reason the proto has to state: else the contract lies to its callers."""
        if error.reason in self._reasons:
            return error
        UNSTATED_REASONS.labels(self._name, error.reason_name).inc()
        log.error("reason not stated in the proto", method=self._name, reason=error.reason_name)
        return defect(error, self._name) if self._strict else error


class _Failing:
    """
    The end of a call that fails: by what its work raises, or before, if that does not end.

    Args:
        layer: How far the call has got, see services.common.stopped.
    """

    def __init__(self, rpc: Rpc, call: Call, layer: str = LOAD) -> None:
        self.layer = layer
        self.message: Message | None = None
        self._rpc = rpc
        self._call = call
        self._answering: asyncio.Task[NoReturn] | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the caller was told that it takes too long."""
        return self._answering is not None

    def late(self) -> None:
        """Tell the caller that it takes too long, whatever the work is still at."""
        self._answering = asyncio.ensure_future(
            self._rpc.fail(self._call, TimeoutError("late"), self.layer, self.message)
        )
        # The caller may leave before the work ends; then nobody else asks for this.
        self._answering.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def by(self, error: Exception) -> NoReturn:
        """End the call with *error*, unless the caller was told already."""
        await (self._answering or self._rpc.fail(self._call, error, self.layer, self.message))
        raise AssertionError("a call that failed goes on")


def _names_in(message: Message | None) -> dict[str, str]:
    """By what a caller names what it asks for: so that its log lines are found."""
    if message is None:
        return {}
    said = {name: getattr(message, name, "") for name in _NAMES}
    return {name: value for name, value in said.items() if value and isinstance(value, str)}


def handler_of(
    rpc: Rpc, descriptor: MethodDescriptor, serialize: Callable[[Any], bytes]
) -> grpc.RpcMethodHandler[Any, Any]:
    """*rpc* as grpc calls it; *serialize* makes bytes of a response."""
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[descriptor.client_streaming, descriptor.server_streaming]
    behaviour: Callable[..., Any] = rpc.stream if descriptor.server_streaming else rpc.unary
    # Rpc parses: what grpc itself cannot deserialize would leave without a reason.
    return make(behaviour, response_serializer=serialize)
