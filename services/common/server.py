"""The gRPC server of every service: access, errors, deadlines, health, reflection, shutdown."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import asyncpg
import grpc
import structlog
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from kuji.common.v1 import access_pb2

from services.common.context import Caller, RequestContext, Role
from services.common.contract import access_of
from services.common.errors import (
    InternalError,
    InvalidArgumentError,
    KujiError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from services.common.metrics import CALLS, LATENCY_S
from services.common.origin import Origins
from services.common.outages import is_outage, told
from services.common.settings import ServiceSettings
from services.common.status import details_of, status_of
from services.common.tokens import TokenVerifier

log = structlog.get_logger()

_A = access_pb2.Access
_Metadata = Iterable[tuple[str, str | bytes]]
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_PUBLIC = _A.ACCESS_PUBLIC  # each look-up by name takes the generated enum a microsecond
_EVERYONE = frozenset(Role)
ROLES_OF_ACCESS: dict[int, frozenset[Role]] = {
    _A.ACCESS_PUBLIC: _EVERYONE,
    _A.ACCESS_USER: _EVERYONE,
    _A.ACCESS_ADMIN: frozenset({Role.ADMIN}),
    _A.ACCESS_SERVICE: frozenset({Role.SERVICE}),
    _A.ACCESS_SERVICE_OR_ADMIN: frozenset({Role.SERVICE, Role.ADMIN}),
}

# Kept back from a caller's deadline, so that an answer with a reason arrives before it.
_MARGIN_S = 0.05


@dataclass(frozen=True)
class Bound:
    """
    A servicer and the service that it implements.

    The servicer has a coroutine ``Method(request, ctx: RequestContext)`` for each RPC; where
    the RPC streams answers, an async generator; where it streams requests, *request* is an
    async iterator. A generator whose answers may be long in coming yields None once it listens:
    then the caller sees the stream open.
    """

    servicer: object
    service: ServiceDescriptor


class _Gate:
    """Turns a transport call into a RequestContext, or refuses it."""

    def __init__(self, verifier: TokenVerifier, origins: Origins, default_timeout_s: float) -> None:
        self._verifier = verifier
        self._origins = origins
        self._default_timeout_s = default_timeout_s

    async def admit(self, access: int, call: grpc.aio.ServicerContext[Any, Any]) -> RequestContext:
        metadata = call.invocation_metadata() or ()
        caller = await self._admitted(access, metadata)
        origin = self._origins.origin_of(metadata, call.peer)
        remaining_s = call.time_remaining()
        if remaining_s is None:
            return RequestContext(caller, self._default_timeout_s, origin)
        return RequestContext(caller, max(remaining_s - _MARGIN_S, 0.0), origin)

    async def _admitted(self, access: int, metadata: _Metadata) -> Caller | None:
        if access == _PUBLIC:
            # An expired token must not keep its holder from refreshing it.
            with suppress(UnauthenticatedError):
                return await self._caller(metadata)
            return None
        caller = await self._caller(metadata)
        if caller is None:
            raise UnauthenticatedError
        if caller.role not in ROLES_OF_ACCESS[access]:
            raise PermissionDeniedError
        return caller

    async def _caller(self, metadata: _Metadata) -> Caller | None:
        for key, value in metadata:
            if key == "authorization":
                scheme, _, token = str(value).partition(" ")
                if scheme.lower() != "bearer":
                    raise UnauthenticatedError("The authorization header is not a bearer token.")
                return await self._verifier.verify(token.strip())
        return None


def to_kuji_error(error: Exception, method: str) -> KujiError:
    """*error* as it may leave the house; what is unknown is logged in full and leaves bare."""
    if isinstance(error, KujiError):
        return error
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return InvalidArgumentError("body", "Text must not hold NUL characters.")
    if is_outage(error):
        log.warning("dependency unavailable", method=method, error=told(error))
        return UnavailableError()
    trace_id = uuid.uuid4().hex
    log.error("unexpected error", method=method, trace_id=trace_id, exc_info=error)
    return InternalError(trace_id=trace_id)


async def _abort(call: grpc.aio.ServicerContext[Any, Any], error: KujiError) -> NoReturn:
    await call.abort(
        status_of(error), error.message, (("grpc-status-details-bin", details_of(error)),)
    )


class _Method:
    """One RPC of a servicer, as the transport calls it."""

    def __init__(self, function: Any, descriptor: MethodDescriptor, gate: _Gate) -> None:  # noqa: ANN401
        self._function = function
        self._gate = gate
        self._access = access_of(descriptor)
        self._parse = message_factory.GetMessageClass(descriptor.input_type).FromString
        self._streams_in = descriptor.client_streaming
        self._name = descriptor.name
        self._calls = CALLS.labels(descriptor.name, "OK")
        self._latency_s = LATENCY_S.labels(descriptor.name)

    async def unary(self, request: Any, call: grpc.aio.ServicerContext[Any, Any]) -> Any:  # noqa: ANN401
        started = time.perf_counter()
        try:
            ctx = await self._gate.admit(self._access, call)
            async with asyncio.timeout(ctx.remaining_s):
                response = await self._function(self._parse_one(request), ctx)
        except Exception as error:  # noqa: BLE001  # the boundary: everything gets a reason
            await self._fail(call, error)
        self._calls.inc()
        self._latency_s.observe(time.perf_counter() - started)
        return response

    async def stream(
        self,
        request: Any,  # noqa: ANN401
        call: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[Any]:
        try:
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
            return self._parse(request)
        except DecodeError as error:
            raise InvalidArgumentError("body", "The message is malformed.") from error

    async def _fail(self, call: grpc.aio.ServicerContext[Any, Any], error: Exception) -> NoReturn:
        outward = to_kuji_error(error, self._name)
        CALLS.labels(self._name, outward.reason_name).inc()
        await _abort(call, outward)


def _handler(method: _Method, descriptor: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    streams_in, streams_out = descriptor.client_streaming, descriptor.server_streaming
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[streams_in, streams_out]
    response = message_factory.GetMessageClass(descriptor.output_type)
    behaviour: Callable[..., Any] = method.stream if streams_out else method.unary
    # _Method parses: what grpc itself cannot deserialize would leave without a reason.
    return make(behaviour, response_serializer=response.SerializeToString)


def _generic_handler(bound: Bound, gate: _Gate) -> grpc.GenericRpcHandler[Any, Any]:
    handlers = {
        descriptor.name: _handler(
            _Method(getattr(bound.servicer, descriptor.name), descriptor, gate), descriptor
        )
        for descriptor in bound.service.methods
    }
    return grpc.method_handlers_generic_handler(bound.service.full_name, handlers)


def build_server(
    bounds: Sequence[Bound], verifier: TokenVerifier, settings: ServiceSettings
) -> tuple[grpc.aio.Server, int, HealthServicer]:
    """
    A server for *bounds*, listening but not started.

    Returns:
        The server, the port it listens on, and its health servicer (all NOT_SERVING).

    Raises:
        RuntimeError: The address is taken.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", 1 << 20),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
        ]
    )
    origins = Origins(settings.edge_secret.get_secret_value())
    gate = _Gate(verifier, origins, settings.default_timeout_s)
    server.add_generic_rpc_handlers(tuple(_generic_handler(bound, gate) for bound in bounds))
    healthy = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    names = [bound.service.full_name for bound in bounds]
    reflection.enable_server_reflection([*names, _HEALTH, reflection.SERVICE_NAME], server)
    return server, server.add_insecure_port(settings.listen), healthy


async def _set_health(healthy: HealthServicer, names: Iterable[str], up: bool) -> None:
    status = health_pb2.HealthCheckResponse.SERVING
    for name in ["", *names]:
        await healthy.set(name, status if up else health_pb2.HealthCheckResponse.NOT_SERVING)


async def serve_until_stopped(
    bounds: Sequence[Bound],
    verifier: TokenVerifier,
    settings: ServiceSettings,
    on_stopping: Callable[[], None] = lambda: None,
) -> None:
    """
    Serve until SIGTERM or SIGINT; then stop accepting, drain, and return.

    The process is healthy from the first accepted call to the signal. *on_stopping* is called
    before the draining, to end what would go on by itself.
    """
    server, port, healthy = build_server(bounds, verifier, settings)
    names = [bound.service.full_name for bound in bounds]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    await _set_health(healthy, names, up=True)
    log.info("serving", port=port, services=names)
    await stop.wait()
    await _set_health(healthy, names, up=False)
    on_stopping()
    await server.stop(settings.drain_s)
    log.info("drained")
