"""What many runs of an activity say of each prize."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.admin.simulation.curve import Curve
from services.admin.simulation.player import NEVER, PlayedRuns

_EARLY = 0.1
_MUCH = 0.5


class Regret(StrEnum):
    """What an operator may regret; see simulations.proto."""

    SOLD_OUT_EARLY = "SOLD_OUT_EARLY"
    MUCH_LEFT = "MUCH_LEFT"
    NEVER_GIVEN = "NEVER_GIVEN"


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of what the runs gave, in order; None: it does not happen by then."""

    p5: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class PrizeSummary:
    """
    What became of a prize.

    Args:
        stock_out_s: Seconds from the beginning to its last unit.
        left: Units left in the end.
        chance_left: Share of the runs that leave something.
        given: Units given, on average.
        findings: What may be regretted.
    """

    stock_out_s: Quantiles
    left: Quantiles
    chance_left: float
    given: float
    findings: tuple[Regret, ...]


def summary_of(runs: PlayedRuns, units: Sequence[int], curve: Curve) -> list[PrizeSummary]:
    """
    Each prize over all *runs*.

    Args:
        runs: At least one.
        units: Of each prize at the beginning.
        curve: When draws arrive.
    """
    return [
        _of_prize(sold_out_by, left, start, curve)
        for sold_out_by, left, start in zip(runs.sold_out_by, runs.left, units, strict=True)
    ]


def _of_prize(
    sold_out_by: Sequence[int], left: Sequence[int], units: int, curve: Curve
) -> PrizeSummary:
    # Those that never sell out come after all that do.
    order = sorted(sold_out_by, key=lambda draw: (draw == NEVER, draw))
    stock_out = _quantiles([None if at == NEVER else curve.arrival(at) for at in _picked(order)])
    remaining = _quantiles([float(count) for count in _picked(sorted(left))])
    runs = len(left)
    given = units - sum(left) / runs
    return PrizeSummary(
        stock_out,
        remaining,
        sum(count > 0 for count in left) / runs,
        given,
        tuple(_findings(stock_out, remaining, units, given, curve.seconds)),
    )


def _picked(ordered: Sequence[int]) -> list[int]:
    """The nearest ranks of 5 %, 50 % and 95 %."""
    return [ordered[-(-len(ordered) * percent // 100) - 1] for percent in (5, 50, 95)]


def _quantiles(picked: Sequence[float | None]) -> Quantiles:
    return Quantiles(*picked)


def _findings(
    stock_out: Quantiles, left: Quantiles, units: int, given: float, seconds: float
) -> list[Regret]:
    if not units:
        return []
    found = []
    if stock_out.p50 is not None and stock_out.p50 <= _EARLY * seconds:
        found.append(Regret.SOLD_OUT_EARLY)
    if left.p50 is not None and left.p50 >= _MUCH * units:
        found.append(Regret.MUCH_LEFT)
    if given == 0:
        found.append(Regret.NEVER_GIVEN)
    return found
