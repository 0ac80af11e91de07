"""From local traces to a collector, by OpenTelemetry's SDK. Imported only where traces are on."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from services.common.traces.counters import DROPPED, EXPORTED
from services.common.traces.local import LocalTrace, Parent, StepKind, TraceStep, Value
from services.common.traces.settings import TraceSettings

log = structlog.get_logger()

MAX_QUEUED = 2048
FAILURES_PER_S = 10
_CLOSE_S = 1.0
_KINDS = {
    StepKind.INTERNAL: SpanKind.INTERNAL,
    StepKind.SERVER: SpanKind.SERVER,
    StepKind.CLIENT: SpanKind.CLIENT,
}


class _GivenIds(IdGenerator):
    """The ids that local traces have already."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Delivery(SpanExporter):
    """Counts what is under way; says once that a collector is away, and that it is back."""

    def __init__(self, inner: SpanExporter, endpoint: str) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._under_way = 0
        self._is_away = False

    def takes(self, spans: int) -> bool:
        """Whether there is room for *spans* more; then they count as under way."""
        with self._lock:
            has_room = self._under_way + spans <= MAX_QUEUED
            self._under_way += spans if has_room else 0
        return has_room

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver *spans*, or give them up."""
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self._note(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def _note(self, spans: int, is_delivered: bool) -> None:
        with self._lock:
            self._under_way -= spans
        if is_delivered:
            EXPORTED.inc(spans)
        else:
            DROPPED.labels("away").inc(spans)
        if self._is_away is is_delivered:
            self._is_away = not is_delivered
            said = "traces are delivered again" if is_delivered else "traces are not delivered"
            log.warning(said, endpoint=self._endpoint)

    def shutdown(self) -> None:
        """Deliver nothing more."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        return self._inner.force_flush(timeout_millis)


class _Failures:
    """Lets FAILURES_PER_S by in a second: in an outage all calls fail alike."""

    def __init__(self) -> None:
        self._left = float(FAILURES_PER_S)
        self._at = time.monotonic()

    def let_by(self) -> bool:
        now = time.monotonic()
        self._left = min(FAILURES_PER_S, self._left + (now - self._at) * FAILURES_PER_S)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Pipeline:
    """
    Takes the local traces of a process; used by its event loop alone.

    Args:
        service: The part, such as "draw".
        settings: See TraceSettings.
        exporter: Where spans go; None: to the collector.
    """

    def __init__(
        self, service: str, settings: TraceSettings, exporter: SpanExporter | None = None
    ) -> None:
        # What it has to say is said by _Delivery.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        endpoint = settings.exporter_otlp_endpoint
        self._follows_parent = settings.follows_parent
        self._bound = TraceIdRatioBased.get_bound_for_rate(settings.ratio)
        self._ids = _GivenIds()
        self._random = RandomIdGenerator()
        self._failures = _Failures()
        self._delivery = _Delivery(exporter or OTLPSpanExporter(endpoint), endpoint)
        self._processor = BatchSpanProcessor(self._delivery, max_queue_size=2 * MAX_QUEUED)
        known = Resource({"service.namespace": "kuji", "service.name": f"kuji-{service}"})
        provider = TracerProvider(
            sampler=ALWAYS_ON,  # what gets here is to be exported
            resource=known.merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("kuji")

    def begin(self, name: str, kind: StepKind, attributes: Mapping[str, Value]) -> LocalTrace:
        """A trace that begins here and now, unless adopt() is told otherwise."""
        trace = LocalTrace(name, kind, dict(attributes), time.time_ns())
        trace.is_sampled = self._is_chosen(trace.trace_id)
        return trace

    def adopt(self, trace: LocalTrace, parent: Parent) -> None:
        """Let *trace* be part of one that began elsewhere."""
        trace.parent, trace.trace_id = parent, parent.trace_id
        is_chosen = parent.is_sampled if self._follows_parent else self._is_chosen(trace.trace_id)
        trace.is_sampled = is_chosen

    def _is_chosen(self, trace_id: int) -> bool:
        # As TraceIdRatioBased, at a tenth of the cost; so other processes decide the same.
        return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound

    def end(self, trace: LocalTrace) -> None:
        """Export *trace* if it is sampled, or has failed as nothing should."""
        spans = 1 + len(trace.steps)
        if not trace.is_sampled:
            if not trace.is_kept:
                return
            if not self._failures.let_by():
                DROPPED.labels("failures").inc(spans)
                return
        if trace.left_out:
            DROPPED.labels("steps").inc(trace.left_out)
        if self._delivery.takes(spans):
            self._hand_over(trace)
        else:
            DROPPED.labels("queue").inc(spans)

    def _hand_over(self, trace: LocalTrace) -> None:
        whole = TraceStep(
            trace.name,
            trace.kind,
            trace.attributes,
            trace.started_ns,
            time.time_ns(),
            trace.span_id,
            bool(trace.failure),
        )
        self._export(trace.trace_id, trace.parent, whole, trace.failure)
        inside = Parent(trace.trace_id, trace.span_id, is_sampled=True)
        for step in trace.steps:
            self._export(trace.trace_id, inside, step, "")

    def _export(self, trace_id: int, parent: Parent | None, step: TraceStep, failure: str) -> None:
        self._ids.trace_id = trace_id
        self._ids.span_id = step.span_id or self._random.generate_span_id()
        span = self._tracer.start_span(
            step.name,
            None if parent is None else _context_of(parent),
            _KINDS[step.kind],
            step.attributes,
            start_time=step.started_ns,
        )
        if step.has_failed:
            span.set_status(Status(StatusCode.ERROR, failure or None))
        span.end(step.ended_ns)

    def close(self) -> None:
        """Deliver what is under way, but do not wait long for it."""
        closing = threading.Thread(target=self._processor.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
        if closing.is_alive():
            self._delivery.shutdown()


def _context_of(parent: Parent) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT)
    remote = SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(remote))
