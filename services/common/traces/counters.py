"""What becomes of spans."""

from prometheus_client import Counter

EXPORTED = Counter("kuji_spans_exported", "Spans that were delivered")
# why: "steps" (more within a trace than are kept), "queue" (full), "away" (not delivered),
# "failures" (traces of failures, more than are kept in a second).
DROPPED = Counter("kuji_spans_dropped", "Spans that were not delivered", ["why"])
