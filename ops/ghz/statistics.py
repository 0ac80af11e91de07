"""The figures of a report, by ghz's arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ops.ghz.notation import NS_PER_S, seconds_of

PERCENTAGES = (10, 25, 50, 75, 90, 95, 99)
MOST_DETAILS = 1_000_000
MOST_ERRORS = 10_000  # that differ; the rest are counted together
_OTHER = "other errors"
_BUCKETS = 10


@dataclass(frozen=True, slots=True)
class CallResult:
    """What became of a call: when it ended, how long it took, its status and error or ""."""

    ended_ns: int
    latency_ns: int
    status: str
    error: str


@dataclass(frozen=True)
class Percentile:
    """*latency_ns* or less took *percentage* of the calls."""

    percentage: int
    latency_ns: int


@dataclass(frozen=True)
class Bar:
    """How many calls took at most *mark_s* seconds, and more than the bar before."""

    mark_s: float
    count: int
    frequency: float


@dataclass(frozen=True)
class Latencies:
    """Of the calls that count; all zero or empty where there are none."""

    fastest_ns: int = 0
    slowest_ns: int = 0
    percentiles: Sequence[Percentile] = ()
    histogram: Sequence[Bar] = ()


@dataclass
class Tallies:
    """Gathers results as they come; the first *skip* do not count, details are bounded."""

    skip: int = 0
    count: int = 0
    latencies_s: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    details: list[CallResult] = field(default_factory=list)

    def add(self, result: CallResult) -> None:
        """Count one more."""
        if self.skip:
            self.skip -= 1
            return
        self.count += 1
        self.latencies_s += seconds_of(result.latency_ns)
        self.statuses[result.status] = self.statuses.get(result.status, 0) + 1
        if result.error:
            is_new = result.error not in self.errors
            error = _OTHER if is_new and len(self.errors) >= MOST_ERRORS else result.error
            self.errors[error] = self.errors.get(error, 0) + 1
        if len(self.details) < MOST_DETAILS:
            self.details.append(result)

    def average_ns(self) -> int:
        """Of all calls, failures too."""
        return int(self.latencies_s / self.count * 1e9) if self.count else 0

    def rate(self, total_ns: int) -> float:
        """All calls a second, failures too."""
        return self.count / seconds_of(total_ns) if self.count and total_ns else 0.0

    def latencies(self, count_errors: bool) -> Latencies:
        """Of the calls that succeeded, or of all."""
        seconds = sorted(
            seconds_of(each.latency_ns) for each in self.details if count_errors or not each.error
        )
        if not seconds:
            return Latencies()
        return Latencies(
            int(seconds[0] * NS_PER_S),
            int(seconds[-1] * NS_PER_S),
            percentiles_of(seconds),
            histogram_of(seconds),
        )


def percentiles_of(seconds: Sequence[float]) -> list[Percentile]:
    """*seconds* are sorted and not empty; a latency of nothing has no percentile."""
    found = []
    for percentage in PERCENTAGES:
        rank = percentage / 100.0 * len(seconds)
        place = int(rank) - 1 if rank == int(rank) else int(rank)
        latency = seconds[max(0, place)]
        found.append(
            Percentile(percentage, int(latency * NS_PER_S)) if latency > 0 else Percentile(0, 0)
        )
    return found


def histogram_of(seconds: Sequence[float]) -> list[Bar]:
    """Eleven bars from the fastest to the slowest; *seconds* are sorted and not empty."""
    fastest, slowest = seconds[0], seconds[-1]
    width = (slowest - fastest) / _BUCKETS
    marks = [fastest + width * number for number in range(_BUCKETS)] + [slowest]
    counts = [0] * len(marks)
    bar = 0
    for each in seconds:
        while each > marks[bar] and bar < _BUCKETS:
            bar += 1
        counts[bar] += 1
    return [
        Bar(mark, count, count / len(seconds)) for mark, count in zip(marks, counts, strict=True)
    ]
