"""What became of draws, by activity, for the metrics; counted once a batch."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import prometheus_client

from services.pool.rule.terms import DrawCode, Drawing

OUTCOMES = prometheus_client.Counter(
    "kuji_draw_outcomes",
    "Draws by what became of them: win, miss, replayed, why not, or unknown",
    ["activity", "outcome"],
)
_BOXES = "boxes"
_UNKNOWN = "unknown"
_DRAWN = DrawCode.DRAWN
_OUTCOME_OF = {code: code.name.lower() for code in DrawCode}
_QUIET_S = 3600.0


@dataclass(slots=True)
class _ShownActivity:
    counters: dict[str, prometheus_client.Counter] = field(default_factory=dict)
    counted_at: float = 0.0


class OutcomeCounts:
    """
    Counts outcomes of the activities that were drawn from of late; the boxes count as one.

    Operators make activities without end, and every one has its series: those from which nobody
    drew for an hour go, and those above the bound, the longest quiet first.

    Args:
        activity_of: The activity of a pool; 0: it is a box's.
        at_most: Activities shown.
        now: Monotonic clock, seconds.
    """

    def __init__(
        self,
        activity_of: Callable[[int], int],
        at_most: int = 100,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._activity_of = activity_of
        self._at_most = at_most
        self._now = now
        self._shown: dict[str, _ShownActivity] = {}  # the longest quiet first

    def count(self, pool_id: int, drawing: Drawing) -> None:
        """Count the answers of a batch: each draw that was made, and each wish that was refused."""
        wins = misses = 0
        others: list[DrawCode] = []
        for answer in drawing.answers:
            if answer.code is _DRAWN:
                for drawn in answer.draws:
                    if drawn.prize_id:
                        wins += 1
                    else:
                        misses += 1
            else:
                others.append(answer.code)
        counts = {_OUTCOME_OF[code]: others.count(code) for code in set(others)}
        self._add(pool_id, {"win": wins, "miss": misses, **counts})

    def count_unknown(self, pool_id: int, draws: int) -> None:
        """Count draws of which nobody knows what became."""
        self._add(pool_id, {_UNKNOWN: draws})

    def _add(self, pool_id: int, counts: Mapping[str, int]) -> None:
        activity = str(self._activity_of(pool_id) or _BOXES)
        shown = self._shown.pop(activity, None) or _ShownActivity()
        self._shown[activity] = shown
        shown.counted_at = self._now()
        for outcome, count in counts.items():
            counter = shown.counters.get(outcome)
            if counter is None:
                counter = shown.counters[outcome] = OUTCOMES.labels(activity, outcome)
            if count:
                counter.inc(count)
        self._forget(shown.counted_at - _QUIET_S)

    def _forget(self, quiet_since: float) -> None:
        while True:
            activity, oldest = next(iter(self._shown.items()))
            if len(self._shown) <= self._at_most and oldest.counted_at >= quiet_since:
                return
            del self._shown[activity]
            for outcome in oldest.counters:
                OUTCOMES.remove(activity, outcome)
