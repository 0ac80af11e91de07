"""RPCs where traces are on: each call is a local trace, and what it takes of stores its steps."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor

from services.common.context import RequestContext, Role
from services.common.errors import KujiError, OverloadedError
from services.common.server.gate import Call, Gate
from services.common.server.rpc import CALLER_LEFT, Rpc
from services.common.status import status_of
from services.common.traces.local import CURRENT, LocalTrace, StepKind, Value
from services.common.traces.pipeline import Pipeline
from services.common.traces.propagation import parent_of
from services.common.traces.switch import pipeline

# What is kept though it is not sampled: what nobody has asked for. Refusals are no failures, and
# what is shed is shed by the thousand.
_UNEXPECTED = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE})


class TracedGate(Gate):
    """
    Believes what is said of the trace that a call is part of, if the edge or a service says it.

    Strangers could otherwise have every call of theirs exported, under ids that they choose.
    """

    async def admit(self, access: int, call: Call) -> RequestContext:
        """See Gate."""
        ctx = await super().admit(access, call)
        trace = CURRENT.get()
        is_service = ctx.caller is not None and ctx.caller.role is Role.SERVICE
        traces = pipeline()
        if trace is not None and traces is not None and (is_service or ctx.origin.is_by_edge):
            parent = parent_of(call.invocation_metadata() or ())
            if parent is not None:
                traces.adopt(trace, parent)
        return ctx


class TracedRpc(Rpc):
    """An RPC whose calls are traced."""

    def __init__(
        self,
        function: Any,  # noqa: ANN401
        descriptor: MethodDescriptor,
        gate: Gate,
        *,
        strict: bool,
        traces: Pipeline,
    ) -> None:
        super().__init__(function, descriptor, gate, strict=strict)
        self._traces = traces
        self._span = f"{descriptor.containing_service.full_name}/{descriptor.name}"
        self._said: dict[str, Value] = {"rpc.system.name": "grpc", "rpc.method": self._span}

    async def unary(self, request: Any, call: Call) -> Any:  # noqa: ANN401
        """See Rpc."""
        trace = self._begin()
        try:
            return await super().unary(request, call)
        except asyncio.CancelledError:
            trace.failure = trace.failure or CALLER_LEFT
            raise
        finally:
            self._end(trace)

    async def stream(self, request: Any, call: Call) -> AsyncIterator[Any]:  # noqa: ANN401
        """See Rpc."""
        trace = self._begin()
        try:
            async with aclosing(super().stream(request, call)) as responses:  # type: ignore[type-var]
                async for response in responses:
                    yield response
        except asyncio.CancelledError:
            trace.failure = trace.failure or CALLER_LEFT
            raise
        finally:
            self._end(trace)

    def _begin(self) -> LocalTrace:
        # Each call is a task of its own: what is current in it needs no taking back.
        trace = self._traces.begin(self._span, StepKind.SERVER, self._said)
        CURRENT.set(trace)
        return trace

    def _end(self, trace: LocalTrace) -> None:
        if trace.failure:
            trace.attributes["kuji.reason"] = trace.failure
        self._traces.end(trace)

    def _stated(self, error: KujiError) -> KujiError:
        outward = super()._stated(error)
        trace = CURRENT.get()
        if trace is not None:
            trace.failure = outward.reason_name
            is_shed = isinstance(outward, OverloadedError)
            trace.is_kept |= status_of(outward) in _UNEXPECTED and not is_shed
        return outward
