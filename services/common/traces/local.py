"""
What one process does for one call, noted as it goes.

It is noted for every call, sampled or not, since only at its end is it known whether it failed. So
it has to be cheap: a few numbers, of which the library makes spans only where they are exported.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from random import getrandbits
from typing import NamedTuple

Value = str | int | float | bool
MAX_STEPS = 128


class StepKind(Enum):
    """Of a span, by OpenTelemetry's names."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2


class Parent(NamedTuple):
    """The span elsewhere that a local trace is part of."""

    trace_id: int
    span_id: int
    is_sampled: bool


class TraceStep(NamedTuple):
    """
    A span within a local trace, over when it is noted.

    Args:
        name: Such as "EVALSHA".
        kind: CLIENT where another process did it.
        attributes: By OpenTelemetry's names, or beginning with "kuji.".
        started_ns: Unix nanoseconds.
        ended_ns: Likewise.
        span_id: 0: nobody was told of one.
        has_failed: Whether it raised.
    """

    name: str
    kind: StepKind
    attributes: Mapping[str, Value]
    started_ns: int
    ended_ns: int
    span_id: int = 0
    has_failed: bool = False


@dataclass(slots=True, eq=False)
class LocalTrace:
    """
    A trace, as far as it is of this process: a span, and the steps within.

    Args:
        name: Of the span, such as "kuji.draw.v1.DrawService/Draw".
        kind: SERVER where somebody called for it.
        attributes: See TraceStep.
        started_ns: Unix nanoseconds.
        trace_id: Of the whole trace.
        span_id: Of the span.
        parent: Where it began elsewhere.
        is_sampled: Whether it is exported, failed or not.
        failure: The reason that it failed for; empty: it has not.
        is_kept: Whether it is exported though it is not sampled.
        steps: At most MAX_STEPS.
        left_out: Steps beyond that.
    """

    name: str
    kind: StepKind
    attributes: dict[str, Value]
    started_ns: int
    trace_id: int = field(default_factory=lambda: getrandbits(128) or 1)
    span_id: int = field(default_factory=lambda: getrandbits(64) or 1)
    parent: Parent | None = None
    is_sampled: bool = False
    failure: str = ""
    is_kept: bool = False
    steps: list[TraceStep] = field(default_factory=list)
    left_out: int = 0

    def note(self, step: TraceStep) -> None:
        """Add *step*; beyond MAX_STEPS it is counted alone."""
        if len(self.steps) < MAX_STEPS:
            self.steps.append(step)
        else:
            self.left_out += 1


CURRENT: ContextVar[LocalTrace | None] = ContextVar("trace", default=None)


def current_trace_id() -> str:
    """The id of the trace that this is part of, in hexadecimal digits; empty: of none."""
    trace = CURRENT.get()
    return f"{trace.trace_id:032x}" if trace is not None else ""


def keep_current() -> None:
    """Something failed that should not: what the trace holds is worth a look."""
    trace = CURRENT.get()
    if trace is not None:
        trace.is_kept = True
