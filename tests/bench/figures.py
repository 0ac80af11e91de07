"""A measured figure, and how two sides are compared on a machine whose speed drifts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median

Side = Callable[[], Awaitable[float]]
Step = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """
    A row of the table.

    Args:
        id: Its name in the plan, e.g. "M1".
        what: What is measured.
        measured: The figure.
        against: What it is compared with, and that one's figure.
        ratio: Of the two; None: not a ratio.
        goal: What was aimed at; "": nothing, it is what it is.
        met: Whether it was reached.
        notes: More that was seen on the way.
        is_valid: Whether it tells of what was measured, and not of the generator.
    """

    id: str
    what: str
    measured: str
    against: str
    ratio: float | None
    goal: str
    met: bool
    notes: Sequence[str] = field(default_factory=tuple)
    is_valid: bool = True


@dataclass(frozen=True)
class Alternation:
    """What A and B gave, turn by turn."""

    a: Sequence[float]
    b: Sequence[float]

    @property
    def ratio(self) -> float:
        """Median of a / b of neighbours in time, so that a slow drift does not matter."""
        return median(a / b for a, b in zip(self.a, self.b, strict=True))


async def alternate(rounds: int, a: Side, b: Side, step: Step, label: str) -> Alternation:
    """Run A B A B …, *rounds* times each."""
    of_a, of_b = [], []
    for number in range(1, rounds + 1):
        of_a.append(await a())
        step(f"{label} {number}/{rounds}")
        of_b.append(await b())
        step(f"{label} {number}/{rounds}")
    return Alternation(of_a, of_b)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, and least and greatest where there are several."""
    middle = f"{median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of *values* that so many of a hundred do not exceed; there has to be one."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
