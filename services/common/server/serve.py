"""The server of a process: what it serves, its limits, its health, and its end."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any

import grpc
import structlog
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.enveloped import ENVELOPED, enveloper_of, name_enveloped
from services.common.origin import Origins
from services.common.server.front.server import FrontServer
from services.common.server.gate import Gate
from services.common.server.gathered import AnswersEach, GatheredRpc
from services.common.server.health import START, Health
from services.common.server.load import Load
from services.common.server.needs import Look, watching_needs
from services.common.server.reflection import offer_reflection
from services.common.server.rpc import Rpc, handler_of
from services.common.settings import ServiceSettings
from services.common.tls import server_credentials
from services.common.tokens import TokenVerifier
from services.common.traces.switch import pipeline

log = structlog.get_logger()

# Beyond bounds of its own, the transport would end calls without a reason: what is too much is shed
# by Load. The calls of one connection wait with their client; who resets his without end is refused
# more, as what is not done with counts: else all others would wait behind that.
_WITHOUT_BOUND = (1 << 31) - 1
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    ("grpc.server.max_pending_requests", _WITHOUT_BOUND),
    ("grpc.server.max_pending_requests_hard_limit", _WITHOUT_BOUND),
    ("grpc.server_max_unrequested_time_in_server", _WITHOUT_BOUND),  # seconds; 30 by itself
)
# Share of the time to drain after which what is not done is answered so; the rest is for answering.
_DRAINED = 0.8
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


@dataclass(frozen=True)
class Gathered:
    """
    What answers many calls of an RPC at once, see services.common.server.gathered.

    Args:
        each: Tells each of them something.
        writers: By each name that the RPC is called by, what makes bytes of that.
    """

    each: AnswersEach
    writers: Mapping[str, Callable[[Any], bytes]]


@dataclass(frozen=True)
class Implementation:
    """
    A servicer and the service that it implements.

    The servicer has a coroutine ``Method(request, ctx: RequestContext)`` for each RPC; where
    the RPC streams answers, an async generator; where it streams requests, *request* is an
    async iterator. A generator whose answers may be long in coming yields None once it listens:
    then the caller sees the stream open.

    Args:
        gathered: By the name of an RPC, what answers many of its calls at once: used where the
            front gathers calls.
    """

    servicer: object
    service: ServiceDescriptor
    gathered: Mapping[str, Gathered] = field(default_factory=dict)


class Front(StrEnum):
    """What takes the calls of a process."""

    GRPCIO = "grpcio"
    GATHERING = "gathering"


def handlers_of(
    served: Implementation, make: Callable[[Any, MethodDescriptor], Rpc]
) -> grpc.GenericRpcHandler[Any, Any]:
    """What grpc calls for the RPCs of *served*; *make* makes one of a method of the servicer."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for method in served.service.methods:
        rpc = make(getattr(served.servicer, method.name), method)
        for name, serialize in _faces_of(method):
            handlers[name] = handler_of(rpc, method, serialize)
    return grpc.method_handlers_generic_handler(served.service.full_name, handlers)


def _faces_of(method: MethodDescriptor) -> Iterator[tuple[str, Callable[[Any], bytes]]]:
    """Under which names *method* is called, and what makes bytes of its answers there."""
    response = message_factory.GetMessageClass(method.output_type)
    yield method.name, response.SerializeToString
    if method.full_name in ENVELOPED:
        yield name_enveloped(method.name), enveloper_of(method)


def gate_of(verifier: TokenVerifier, settings: ServiceSettings) -> Gate:
    """The gate of a server with *settings*."""
    return _gate_class()(
        verifier,
        Origins(settings.edge_secret.get_secret_value()),
        Load("call", settings.max_calls),
        Load("stream", settings.max_streams),
        settings.default_timeout_s,
    )


def _gate_class() -> type[Gate]:
    if pipeline() is None:
        return Gate
    from services.common.server.traced import TracedGate

    return TracedGate


def _maker_of(gate: Gate, settings: ServiceSettings) -> Callable[[Any, MethodDescriptor], Rpc]:
    """What makes an RPC of a servicer's method; see handlers_of."""
    traces = pipeline()
    if traces is None:
        return partial(Rpc, gate=gate, strict=settings.strict_contract)
    from services.common.server.traced import TracedRpc

    return partial(TracedRpc, gate=gate, strict=settings.strict_contract, traces=traces)


def build_server(
    services: Sequence[Implementation],
    verifier: TokenVerifier,
    settings: ServiceSettings,
    front: Front = Front.GRPCIO,
) -> tuple[grpc.aio.Server, int, Health]:
    """
    A server for *services*, listening but not started.

    Returns:
        The server, the port it listens on, and its health, which lacks the start.

    Raises:
        RuntimeError: The address is taken.
        ValueError: A proto does not say who may call an RPC, or what a field may hold.
    """
    health = Health()
    server, _, port = _build(services, verifier, settings, health, front)
    return server, port, health


def _build(
    services: Sequence[Implementation],
    verifier: TokenVerifier,
    settings: ServiceSettings,
    health: Health,
    front: Front,
) -> tuple[grpc.aio.Server, Gate, int]:
    own = (
        ("grpc.max_concurrent_streams", settings.max_connection_calls),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
    )
    options = [*_OPTIONS, *own]
    gate = gate_of(verifier, settings)
    make = _maker_of(gate, settings)
    server: grpc.aio.Server
    if front is Front.GATHERING:
        server = FrontServer(options)
        if pipeline() is None:  # where calls are traced, each has a task of its own
            for one in services:
                _gather(server, one, gate, make)
    else:
        server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers(tuple(handlers_of(one, make) for one in services))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = [one.service.full_name for one in services]
    health.serve_under(names)
    offer_reflection(server, [*names, _HEALTH])
    return server, gate, _listen(server, settings)


def _gather(
    server: FrontServer,
    served: Implementation,
    gate: Gate,
    make: Callable[[Any, MethodDescriptor], Rpc],
) -> None:
    for name, own in served.gathered.items():
        method = served.service.methods_by_name[name]
        rpc = make(getattr(served.servicer, name), method)
        for face, serialize in _faces_of(method):
            gathered = GatheredRpc(rpc, own.each, gate, server.run, serialize, own.writers[face])
            server.gather(f"/{served.service.full_name}/{face}", gathered.take)


def _listen(server: grpc.aio.Server, settings: ServiceSettings) -> int:
    if settings.tls is None:
        return server.add_insecure_port(settings.listen)
    return server.add_secure_port(settings.listen, server_credentials(settings.tls))


async def serve_until_stopped(
    services: Sequence[Implementation],
    verifier: TokenVerifier,
    settings: ServiceSettings,
    health: Health,
    on_stopping: Callable[[], None] = lambda: None,
    ready: Callable[[], Awaitable[object]] | None = None,
    needs: Mapping[str, Look] = MappingProxyType({}),
    front: Front = Front.GRPCIO,
) -> None:
    """
    Serve until SIGTERM or SIGINT; then be not ready, stop accepting, drain, and return.

    Args:
        services: What is served.
        verifier: Of the callers' tokens.
        settings: See ServiceSettings.
        health: Of this process.
        on_stopping: Called before the draining, to end what would go on by itself.
        ready: The process calls itself ready once this returns, until the signal; until then it
            answers what it can.
        needs: What it has to see in order to call itself ready.
        front: What takes the calls.
    """
    server, gate, port = _build(services, verifier, settings, health, front)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    async with watching_needs(health, needs):
        await server.start()
        if ready is None or await _is_ready(ready, stop):
            health.have(START)
            log.info("serving", port=port)
        await stop.wait()
        health.lack("time", "stopping")
        # Who sends calls here has to see that first, and takes his time.
        await asyncio.sleep(settings.stop_delay_s)
    health.close()
    on_stopping()
    gate.bounds.close_at(loop.time() + settings.drain_s * _DRAINED)
    await server.stop(settings.drain_s)
    log.info("drained")


async def _is_ready(ready: Callable[[], Awaitable[object]], stop: asyncio.Event) -> bool:
    """Whether *ready* came before *stop*."""
    waits = [asyncio.ensure_future(ready()), asyncio.ensure_future(stop.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if waits[0].done() and not waits[0].cancelled():
        await waits[0]
    return not stop.is_set()
