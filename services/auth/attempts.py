"""How often something may be tried, by whoever tries it: kept in this process, bounded."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cachetools import LRUCache

_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Allowance:
    """
    What is allowed.

    Args:
        burst: Attempts at once, after a long rest.
        every_s: Seconds after which there is one more.
    """

    burst: int
    every_s: float


class Attempts:
    """
    Counts attempts of subjects, each against an allowance.

    A subject is remembered by one number, when all that it tried will be made up for (the generic
    cell rate algorithm), and forgotten from then on or when *capacity* others came after it. Not
    shared between processes: several allow several times as much.

    Args:
        capacity: Subjects remembered.
        now: A monotonic clock, seconds.
    """

    def __init__(self, capacity: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._even_at: LRUCache[str, float] = LRUCache(capacity)

    def take(self, asked: Mapping[str, Allowance]) -> float:
        """Count an attempt of all subjects *asked*, or of none: the seconds to wait; 0: counted."""
        now = self._now()
        evens = {
            subject: self._even_at_of(subject, now) + allowance.every_s
            for subject, allowance in asked.items()
        }
        wait_s = max(
            evens[subject] - allowance.burst * allowance.every_s - now
            for subject, allowance in asked.items()
        )
        if wait_s > _ROUNDING_S:
            return wait_s
        self._even_at.update(evens)
        return 0.0

    def give_back(self, asked: Mapping[str, Allowance]) -> None:
        """Count one attempt less: it was none to count."""
        now = self._now()
        for subject, allowance in asked.items():
            even_at = self._even_at_of(subject, now) - allowance.every_s
            if even_at > now:
                self._even_at[subject] = even_at
            else:
                self.forget(subject)

    def forget(self, subject: str) -> None:
        """Count nothing of this subject any more."""
        self._even_at.pop(subject, None)

    def has_counted(self, subject: str) -> bool:
        """Whether something is counted of this subject at present."""
        return self._even_at_of(subject, self._now()) > self._now()

    def _even_at_of(self, subject: str, now: float) -> float:
        return max(self._even_at.get(subject, now), now)
