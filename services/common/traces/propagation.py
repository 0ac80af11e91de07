"""W3C traceparent: the trace that a call is part of, as services tell each other."""

import re
import time
from collections.abc import Iterable
from random import getrandbits
from typing import Any

import grpc

from services.common.traces.local import CURRENT, Parent, StepKind, TraceStep, Value
from services.common.traces.switch import pipeline

TRACEPARENT = "traceparent"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


def parent_of(metadata: Iterable[tuple[str, str | bytes]]) -> Parent | None:
    """What the traceparent among *metadata* says; None where there is none that is well formed."""
    for key, value in metadata:
        if key == TRACEPARENT:
            return _parsed(str(value))
    return None


def _parsed(text: str) -> Parent | None:
    found = _FORM.fullmatch(text)
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not (trace_id and span_id):
        return None
    return Parent(trace_id, span_id, bool(int(found[4], 16) & _SAMPLED))


class TellingInterceptor(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Tells the services that this one calls of which trace a call is part, and notes the call."""

    async def intercept_unary_unary(self, continuation, client_call_details, request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Call on, with a traceparent where there is a trace."""
        trace = CURRENT.get()
        if trace is None:
            return await continuation(client_call_details, request)
        span_id = getrandbits(64) or 1
        text = f"00-{trace.trace_id:032x}-{span_id:016x}-{int(trace.is_sampled):02x}"
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()))
        metadata.add(TRACEPARENT, text)
        details = client_call_details._replace(metadata=metadata)
        method = client_call_details.method
        name = (method.decode() if isinstance(method, bytes) else method).removeprefix("/")
        started_ns = time.time_ns()
        call = await continuation(details, request)
        has_failed = await call.code() is not grpc.StatusCode.OK
        said: dict[str, Value] = {"rpc.system.name": "grpc", "rpc.method": name}
        ended_ns = time.time_ns()
        trace.note(
            TraceStep(name, StepKind.CLIENT, said, started_ns, ended_ns, span_id, has_failed)
        )
        return call


def telling() -> Any:  # noqa: ANN401  # grpc's stubs say otherwise
    """The interceptors of a channel to another service: none where there are no traces."""
    return [] if pipeline() is None else [TellingInterceptor()]
