"""The histogram of what every call takes."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from services.common.call_durations import CallDurations

BOUNDS = (0.001, 0.5, 10)
VALUES = (0.0, 0.001, 0.0011, 0.5, 3.0, 10.0, 11.0)


def test_durations_are_told_as_prometheus_has_a_histogram() -> None:
    """Bound by bound, each counted where it is no greater, with the sum and the count."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    durations = CallDurations("took_seconds", "How long it took", BOUNDS, ours)
    histogram = Histogram(
        "took_seconds", "How long it took", ["method"], buckets=BOUNDS, registry=theirs
    )
    for method in ("Draw", "DrawBatch"):
        for value in VALUES:
            durations.labels(method).observe(value)
            histogram.labels(method).observe(value)
    durations.labels("Never")
    histogram.labels("Never")
    assert _told(theirs) == _told(ours)


def _told(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if "_created" not in line]
