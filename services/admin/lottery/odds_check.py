"""Whether a prize was won as often as its odds say: pure arithmetic."""

import math
from dataclasses import dataclass
from enum import StrEnum

_Z_95 = 1.959963984540054  # 97.5th percentile of the normal distribution
_FEW = 5.0  # wins to be expected, below which nothing speaks for or against


class OddsVerdict(StrEnum):
    """What a prize's wins say of its odds."""

    FITS = "fits"
    MORE_OFTEN = "more_often"
    LESS_OFTEN = "less_often"
    TOO_FEW_DRAWS = "too_few_draws"
    NOT_JUDGED = "not_judged"


_SENTENCES = {
    OddsVerdict.FITS: "That fits.",
    OddsVerdict.MORE_OFTEN: "That is more often than its odds say. Of honest prizes, one in twenty "
    "at most looks like that or worse at a given moment: look again after more draws.",
    OddsVerdict.LESS_OFTEN: "That is less often than its odds say. Of honest prizes, one in twenty "
    "at most looks like that or worse at a given moment: look again after more draws.",
    OddsVerdict.TOO_FEW_DRAWS: "That is too few to tell.",
    OddsVerdict.NOT_JUDGED: "Not judged: users who have won it as often as one may have no chance "
    "of it any more, and still draw.",
}


@dataclass(frozen=True, slots=True)
class Trials:
    """
    A prize's draws: those in which it could be won.

    Args:
        draws: How many.
        expected_wins: The sum of the odds that it had in them.
        is_limited: Whether one user could win it so often only, in some of them.
    """

    draws: int = 0
    expected_wins: float = 0.0
    is_limited: bool = False

    def __add__(self, other: "Trials") -> "Trials":
        return Trials(
            self.draws + other.draws,
            self.expected_wins + other.expected_wins,
            self.is_limited or other.is_limited,
        )


@dataclass(frozen=True, slots=True)
class OddsCheck:
    """
    A prize's wins beside its odds.

    Args:
        trials: The draws in which it could be won.
        wins: How many won it.
        low, high: The 95 % interval for its chance, as the wins show it.
    """

    trials: Trials
    wins: int
    low: float
    high: float

    @property
    def expected(self) -> float:
        """The chance that it had on average; 0 without draws."""
        return self.trials.expected_wins / self.trials.draws if self.trials.draws else 0.0

    @property
    def verdict(self) -> OddsVerdict:
        """What the wins say."""
        if self.trials.is_limited:
            return OddsVerdict.NOT_JUDGED
        if self.expected < self.low:
            return OddsVerdict.MORE_OFTEN
        if self.expected > self.high:
            return OddsVerdict.LESS_OFTEN
        return OddsVerdict.FITS if self.trials.expected_wins >= _FEW else OddsVerdict.TOO_FEW_DRAWS

    @property
    def explanation(self) -> str:
        """The same in a sentence or two."""
        counts = (
            f"{_counted(self.wins, 'win')} in {_counted(self.trials.draws, 'draw')} that could "
            f"win it, where {self.trials.expected_wins:.2f} were to be expected."
        )
        return f"{counts} {_SENTENCES[self.verdict]}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def check_odds(trials: Trials, wins: int) -> OddsCheck:
    """What *wins* in *trials* say."""
    return OddsCheck(trials, wins, *interval(min(wins, trials.draws), trials.draws))


def interval(wins: int, draws: int) -> tuple[float, float]:
    """
    The 95 % interval for the chance behind *wins* in *draws*; 0…1 without draws.

    Wilson's score interval with continuity correction. It covers the true chance about as often
    as the exact (Clopper–Pearson) one, rare prizes included, in closed form; without the
    correction, one win of a prize of which 0.17 were to be expected would look suspicious.

    Source: Newcombe 1998, "Two-sided confidence intervals for the single proportion: comparison of
    seven methods", Statistics in Medicine 17, method 4.
    """
    if not draws:
        return 0.0, 1.0
    low = 0.0 if wins == 0 else _bound(wins, draws, -1)
    high = 1.0 if wins == draws else _bound(wins, draws, 1)
    return max(0.0, low), min(1.0, high)


def _bound(wins: int, draws: int, sign: int) -> float:
    share, z = wins / draws, _Z_95
    spread = z * z - 1 / draws + 4 * draws * share * (1 - share) + sign * -(4 * share - 2)
    middle = 2 * draws * share + z * z
    return (middle + sign * (z * math.sqrt(max(0.0, spread)) + 1)) / (2 * (draws + z * z))
