"""
A histogram for what every call notes: it is written on the event loop alone, and so needs no lock.

prometheus_client's takes a lock twice for each value, which is a twentieth of what a draw costs the
draw process besides the transport.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

LABELS = ("method",)


class RpcDuration:
    """
    How long the calls of one RPC took.

    Args:
        bounds: Of the buckets, seconds, ascending.
    """

    __slots__ = ("_bounds", "counts", "sum_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.sum_s += seconds


class CallDurations(Collector):
    """
    How long the calls of each RPC took.

    Args:
        name: Of the metric.
        about: What it tells.
        bounds: Of the buckets, seconds, ascending.
        registry: Shows it.
    """

    def __init__(
        self,
        name: str,
        about: str,
        bounds: Sequence[float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self.name = name
        self._about = about
        self._bounds = bounds
        self._durations: dict[str, RpcDuration] = {}
        registry.register(self)

    def labels(self, method: str) -> RpcDuration:
        """Those of one RPC."""
        return self._durations.setdefault(method, RpcDuration(self._bounds))

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """See Collector."""
        yield HistogramMetricFamily(self.name, self._about, labels=LABELS)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """See Collector."""
        family = HistogramMetricFamily(self.name, self._about, labels=LABELS)
        names = [*map(str, map(float, self._bounds)), "+Inf"]
        for method, duration in list(self._durations.items()):
            buckets = list(zip(names, accumulate(duration.counts), strict=True))
            family.add_metric([method], buckets, duration.sum_s)
        yield family
