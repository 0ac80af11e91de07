"""Wins beside odds: the interval, and what it says."""

import pytest

from services.admin.lottery.odds_check import OddsVerdict, Trials, check_odds, interval
from services.admin.lottery.odds_history import PrizeChance, draws_between, left_before


@pytest.mark.parametrize(
    ("wins", "draws", "low", "high"),
    [
        (81, 263, 0.2535, 0.3682),
        (15, 148, 0.0598, 0.1644),
        (0, 20, 0.0, 0.2005),
        (1, 29, 0.0018, 0.1963),
        (29, 29, 0.8544, 1.0),
    ],
)
def test_interval_is_newcombes(wins: int, draws: int, low: float, high: float) -> None:
    """The published examples of the method, to the four digits that they have."""
    assert (low, high) == pytest.approx(interval(wins, draws), abs=5e-5)


def test_interval_holds_the_share_whatever_is_counted() -> None:
    """Within 0…1, around the share, the narrower the more draws there are."""
    for draws in (1, 7, 1000, 10**9):
        for wins in {0, 1, draws // 3, draws - 1, draws}:
            low, high = interval(wins, draws)
            assert 0 <= low <= wins / draws <= high <= 1
    assert (0.0, 1.0) == interval(0, 0)


@pytest.mark.parametrize(
    ("draws", "expected", "wins", "verdict"),
    [
        (1000, 100.0, 100, OddsVerdict.FITS),
        (1000, 100.0, 150, OddsVerdict.MORE_OFTEN),
        (1000, 100.0, 60, OddsVerdict.LESS_OFTEN),
        (1000, 100.0, 118, OddsVerdict.FITS),
        (10, 1.0, 0, OddsVerdict.TOO_FEW_DRAWS),
        (1000, 0.17, 1, OddsVerdict.TOO_FEW_DRAWS),  # one in six honest prizes does so
        (1000, 0.001, 1, OddsVerdict.MORE_OFTEN),  # one in a thousand does so
        (1000, 0.0, 1, OddsVerdict.MORE_OFTEN),
        (0, 0.0, 0, OddsVerdict.TOO_FEW_DRAWS),
    ],
)
def test_verdict_compares_wins_with_what_was_to_be_expected(
    draws: int, expected: float, wins: int, verdict: OddsVerdict
) -> None:
    """Outside of the interval is told; few draws tell nothing."""
    check = check_odds(Trials(draws, expected), wins)
    assert verdict == check.verdict
    assert str(wins) == check.explanation.split()[0]


def test_limited_prize_is_not_judged() -> None:
    """Not every draw had the odds that are configured."""
    assert OddsVerdict.NOT_JUDGED == check_odds(Trials(1000, 500.0, is_limited=True), 3).verdict


def test_ids_that_never_were_are_no_draws() -> None:
    """A span counts as far as it lies among the draws asked for."""
    assert 10 == draws_between(0, 10, [])
    assert 5 == draws_between(0, 10, [(3, 7)])
    assert 3 == draws_between(5, 10, [(3, 7)])
    assert 10 == draws_between(10, 20, [(3, 7), (21, 30)])
    assert 0 == draws_between(4, 6, [(3, 7)])


def test_units_left_are_told_from_units_added() -> None:
    """What a change adds or withdraws was not won."""
    before = PrizeChance(units=10, left=10, weight_ppb=1, is_limited=False)
    assert 3 == left_before(before, before._replace(left=3))
    assert 0 == left_before(before, before._replace(units=15, left=5))
    assert 4 == left_before(before, before._replace(units=6, left=0))
