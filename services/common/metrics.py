"""Metrics that every service has; a service's own live beside its code."""

import socket
import threading
from importlib.metadata import version
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import Counter, Gauge, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from services.common.call_durations import CallDurations

_NEVER_S = 86_400.0

BUILD = Gauge("kuji_build_info", "1; which part this is, and of which version", ["part", "version"])

CALLS = Counter("kuji_rpc_calls", "Calls answered", ["method", "reason"])
IN_HAND = Gauge("kuji_rpc_in_hand", "Calls being answered", ["kind"])
UNSTATED_REASONS = Counter(
    "kuji_rpc_unstated_reasons",
    "Failures whose reason the proto does not state",
    ["method", "reason"],
)
DURATION_S = CallDurations(
    "kuji_rpc_duration_seconds",
    "Time from receipt to answer",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
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
        _serve(host, int(port))


def _serve(host: str, port: int) -> None:
    """
    What prometheus_client.start_http_server does, with a thread that wakes only for a question:
    its own looks twice a second whether it is to end.
    """
    where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = where[0]
    server = type("_Server", (ThreadingWSGIServer,), {"address_family": family})
    serving: WSGIServer = make_server(str(address[0]), port, make_wsgi_app(), server, _Silent)
    threading.Thread(target=serving.serve_forever, args=(_NEVER_S,), daemon=True).start()


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""
