"""How draws arrive: evenly within each of a row of stretches of time."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Stretch:
    """
    A stretch of time in which draws arrive evenly.

    Args:
        seconds: How long it is, > 0.
        draws: How many arrive in it, ≥ 0.
    """

    seconds: float
    draws: int


class Curve:
    """When each draw arrives."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self._stretches = stretches
        self._draws_until = [0, *accumulate(stretch.draws for stretch in stretches)]
        self._starts = [0.0, *accumulate(stretch.seconds for stretch in stretches)]

    @property
    def draws(self) -> int:
        """How many arrive in all."""
        return self._draws_until[-1]

    @property
    def seconds(self) -> float:
        """How long it takes, to the end of the last stretch."""
        return self._starts[-1]

    def arrival(self, number: int) -> float:
        """
        Seconds from the beginning until draw *number* arrives.

        Args:
            number: 1 … draws.
        """
        at = bisect_left(self._draws_until, number) - 1
        stretch = self._stretches[at]
        share = (number - self._draws_until[at]) / stretch.draws
        return self._starts[at] + share * stretch.seconds
