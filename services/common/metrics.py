"""Metrics that every service has; a service's own live beside its code."""

from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram, start_http_server

BUILD = Gauge("kuji_build_info", "1; which part this is, and of which version", ["part", "version"])

CALLS = Counter("kuji_rpc_calls", "Calls answered", ["method", "reason"])
IN_HAND = Gauge("kuji_rpc_in_hand", "Calls being answered", ["kind"])
UNSTATED_REASONS = Counter(
    "kuji_rpc_unstated_reasons",
    "Failures whose reason the proto does not state",
    ["method", "reason"],
)
LATENCY_S = Histogram(
    "kuji_rpc_duration_seconds",
    "Time from receipt to answer",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
INTERRUPTED = Gauge(
    "kuji_work_interrupted", "1 while work without end waits for a part, or fails", ["work"]
)
FAILED_ROUNDS = Counter(
    "kuji_work_failed_rounds", "Rounds of work without end that failed", ["work", "kind"]
)


def serve_metrics(part: str, listen: str) -> None:
    """Serve the Prometheus metrics of *part* on *listen* (host:port); nothing when it is empty."""
    BUILD.labels(part, version("kuji-platform")).set(1)
    if listen:
        host, _, port = listen.rpartition(":")
        start_http_server(int(port), host)
