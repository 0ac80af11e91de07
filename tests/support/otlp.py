"""A collector of traces: what OTLP brings, as it comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

_PATIENCE_S = 30


@dataclass(frozen=True)
class Span:
    """A span, and whose it is."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    has_failed: bool
    attributes: dict[str, Any]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.address = ""

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        """See TraceService."""
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            self.spans += [
                _span(service, span) for scope in resource.scope_spans for span in scope.spans
            ]
        return trace_service_pb2.ExportTraceServiceResponse()

    async def until(self, found: Callable[[list[Span]], Any]) -> Any:
        """The first truthy *found* of the spans that there are."""
        async with asyncio.timeout(_PATIENCE_S):
            while not (result := found(list(self.spans))):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return result

    def trace(self, trace_id: str) -> dict[str, Span]:
        """The spans of one trace, by service and name."""
        return {
            f"{span.service} {span.name}": span for span in self.spans if span.trace_id == trace_id
        }


def _span(service: str, span: Any) -> Span:
    return Span(
        service,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        _attributes(span.attributes),
    )


def _attributes(attributes: Any) -> dict[str, Any]:
    values = {one.key: one.value for one in attributes}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values.items()}


@asynccontextmanager
async def collecting(address: str = "127.0.0.1:0") -> AsyncIterator[Collector]:
    """A collector at *address*."""
    server, collector = grpc.aio.server(), Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port(address)
    collector.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)
