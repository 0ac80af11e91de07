"""Outcomes by activity: all are counted, and the series have a bound."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from services.draw.outcomes import OUTCOMES, OutcomeCounts
from services.pool.rule.terms import Answer, DrawCode, Drawing, Drawn


@pytest.fixture(autouse=True)
def _none_before() -> Iterator[None]:
    OUTCOMES.clear()
    yield
    OUTCOMES.clear()


def _batch(*answers: Answer) -> Drawing:
    return Drawing(0, 1, list(answers))


def _drawn(*prize_ids: int) -> Answer:
    return Answer(
        DrawCode.DRAWN, 1, len(prize_ids), draws=[Drawn(one, 0, 1, 2, b"") for one in prize_ids]
    )


def _count(activity: str, outcome: str) -> float | None:
    labels = {"activity": activity, "outcome": outcome}
    return REGISTRY.get_sample_value("kuji_draw_outcomes_total", labels)


def _shown() -> set[str]:
    return {sample.labels["activity"] for family in OUTCOMES.collect() for sample in family.samples}


def test_outcomes_count_draws_refusals_and_what_nobody_knows() -> None:
    """A draw of several counts as several; boxes are one activity."""
    counts = OutcomeCounts({1: 10}.get)  # type: ignore[arg-type]  # None is as good as 0
    counts.count(1, _batch(_drawn(7, 0, 0), Answer(DrawCode.COOLDOWN), Answer(DrawCode.REPLAYED)))
    counts.count(1, _batch(_drawn(7)))
    counts.count(2, _batch(Answer(DrawCode.SOLD_OUT)))
    counts.count_unknown(1, 5)
    expected = {"win": 2, "miss": 2, "cooldown": 1, "replayed": 1, "unknown": 5}
    assert expected == {outcome: _count("10", outcome) for outcome in expected}
    assert 1 == _count("boxes", "sold_out")


def test_activity_goes_when_others_are_drawn_from() -> None:
    """Beyond the bound the longest quiet one goes, and comes back from nought."""
    counts = OutcomeCounts(lambda pool_id: pool_id, at_most=2)
    for pool_id in (1, 2, 1, 3):
        counts.count(pool_id, _batch(_drawn(0), Answer(DrawCode.BLOCKED)))
    assert {"1", "3"} == _shown()
    counts.count(2, _batch(_drawn(0)))
    assert {"2", "3"} == _shown()
    assert 1 == _count("2", "miss")


def test_activity_goes_when_nobody_draws_from_it_for_an_hour() -> None:
    """Old activities do not stay for ever."""
    now_s = 0.0
    counts = OutcomeCounts(lambda pool_id: pool_id, now=lambda: now_s)
    counts.count(1, _batch(_drawn(0)))
    now_s = 3599.0
    counts.count(2, _batch(_drawn(0)))
    assert {"1", "2"} == _shown()
    now_s = 3601.0
    counts.count(2, _batch(_drawn(0)))
    assert {"2"} == _shown()
