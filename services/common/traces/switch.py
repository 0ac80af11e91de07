"""Whether this process traces, and what it notes if so."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.common.settings import read_settings
from services.common.traces.local import CURRENT, LocalTrace, StepKind, TraceStep, Value
from services.common.traces.settings import TraceSettings

if TYPE_CHECKING:
    from services.common.traces.pipeline import Pipeline

_on: "Pipeline | None" = None


def pipeline() -> "Pipeline | None":
    """Where the local traces of this process go; None: there are none."""
    return _on


@contextmanager
def tracing(service: str) -> Iterator[None]:
    """Trace what *service* does within, if OTEL_EXPORTER_OTLP_ENDPOINT says where to."""
    global _on  # of the process, as logs and metrics are
    settings = read_settings(TraceSettings)
    if not settings.is_on:
        yield
        return
    # The SDK takes memory and time to be imported.
    from services.common.traces.pipeline import Pipeline

    _on = Pipeline(service, settings)
    try:
        yield
    finally:
        _on.close()
        _on = None


@contextmanager
def traced_work(name: str, attributes: dict[str, Value]) -> Iterator[LocalTrace | None]:
    """A trace of what goes on within, which nobody has called for; None where there are none."""
    if _on is None:
        yield None
        return
    trace = _on.begin(name, StepKind.INTERNAL, attributes)
    before = CURRENT.set(trace)
    try:
        yield trace
    except Exception as error:
        trace.failure, trace.is_kept = type(error).__name__, True
        raise
    finally:
        CURRENT.reset(before)
        _on.end(trace)


@contextmanager
def traced_step(name: str, attributes: dict[str, Value]) -> Iterator[None]:
    """Note what goes on within, by another process, in the trace that there is."""
    trace = CURRENT.get()
    if trace is None:
        yield
        return
    started_ns, has_failed = time.time_ns(), True
    try:
        yield
        has_failed = False
    finally:
        ended_ns = time.time_ns()
        trace.note(
            TraceStep(
                name, StepKind.CLIENT, attributes, started_ns, ended_ns, has_failed=has_failed
            )
        )
