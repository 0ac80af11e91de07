"""What each layer of a service stopped, so that nothing behind it was asked."""

from kuji.common.v1.error_reason_pb2 import ErrorReason
from prometheus_client import Counter

from services.common.errors import KujiError

STOPPED = Counter(
    "kuji_stopped", "Calls, and draws of a batch, that a layer refused", ["layer", "reason"]
)
LOAD = "load"  # too much in hand
TOKEN = "token"  # noqa: S105  # who calls, and what that role may do
BOUNDS = "bounds"  # what a message may hold
# Nobody refused: something is away or broken.
_NOT_REFUSED = {
    ErrorReason.ERROR_REASON_INTERNAL,
    ErrorReason.ERROR_REASON_POOL_NOT_LOADED,
    ErrorReason.ERROR_REASON_UNAVAILABLE,
}


def count_stopped(layer: str, error: KujiError) -> None:
    """Count *error* where it is a refusal of *layer*: one of the above, or a service's domain."""
    if error.reason not in _NOT_REFUSED:
        STOPPED.labels(layer, error.reason_name).inc()
