"""One RPC of a servicer, as the transport calls it: admitted, in bounds, answered or refused."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from services.common.contract import access_of, reasons_of
from services.common.errors import InvalidArgumentError, KujiError
from services.common.failures import defect, to_kuji_error
from services.common.metrics import CALLS, LATENCY_S, UNSTATED_REASONS
from services.common.server.bounds import check, checks_of
from services.common.server.gate import Call, Gate
from services.common.status import details_of, status_of

log = structlog.get_logger()


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
        self._access = access_of(descriptor)
        self._reasons = reasons_of(descriptor)
        self._parse = message_factory.GetMessageClass(descriptor.input_type).FromString
        self._streams_in = descriptor.client_streaming
        self._name = descriptor.name
        self._calls = CALLS.labels(descriptor.name, "OK")
        self._latency_s = LATENCY_S.labels(descriptor.name)
        self._checks = checks_of(descriptor.input_type)

    async def unary(self, request: Any, call: Call) -> Any:  # noqa: ANN401
        """Answer once."""
        started = time.perf_counter()
        try:
            with self._load:
                ctx = await self._gate.admit(self._access, call)
                async with asyncio.timeout(ctx.remaining_s):
                    response = await self._function(self._parse_one(request), ctx)
        except Exception as error:  # noqa: BLE001  # the boundary: everything gets a reason
            await self._fail(call, error)
        self._calls.inc()
        self._latency_s.observe(time.perf_counter() - started)
        return response

    async def stream(self, request: Any, call: Call) -> AsyncIterator[Any]:  # noqa: ANN401
        """Answer as often as the servicer does."""
        try:
            with self._load:
                ctx = await self._gate.admit(self._access, call)
                async for response in self._function(self._parsed(request), ctx):
                    if response is None:
                        await call.send_initial_metadata(())
                    else:
                        yield response
        except Exception as error:  # noqa: BLE001  # the boundary: everything gets a reason
            await self._fail(call, error)
        self._calls.inc()

    def _parsed(self, request: Any) -> Any:  # noqa: ANN401
        if self._streams_in:
            return (self._parse_one(one) async for one in request)
        return self._parse_one(request)

    def _parse_one(self, request: bytes) -> Message:
        try:
            message = self._parse(request)
        except DecodeError as error:
            raise InvalidArgumentError("body", "The message is malformed.") from error
        self.check(message)
        return message

    def check(self, message: Message) -> None:
        """InvalidArgumentError with the path of the first field that is out of bounds."""
        check(message, self._checks)

    async def _fail(self, call: Call, error: Exception) -> NoReturn:
        outward = self._stated(to_kuji_error(error, self._name))
        CALLS.labels(self._name, outward.reason_name).inc()
        trailers = (("grpc-status-details-bin", details_of(outward)),)
        await call.abort(status_of(outward), outward.message, trailers)

    def _stated(self, error: KujiError) -> KujiError:
        """*error*, whose reason the proto has to state: else the contract lies to its callers."""
        if error.reason in self._reasons:
            return error
        UNSTATED_REASONS.labels(self._name, error.reason_name).inc()
        log.error("reason not stated in the proto", method=self._name, reason=error.reason_name)
        return defect(error, self._name) if self._strict else error


def handler_of(rpc: Rpc, descriptor: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    """*rpc* as grpc calls it."""
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[descriptor.client_streaming, descriptor.server_streaming]
    response = message_factory.GetMessageClass(descriptor.output_type)
    behaviour: Callable[..., Any] = rpc.stream if descriptor.server_streaming else rpc.unary
    # Rpc parses: what grpc itself cannot deserialize would leave without a reason.
    return make(behaviour, response_serializer=response.SerializeToString)
