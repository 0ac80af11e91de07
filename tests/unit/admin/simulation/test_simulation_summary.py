"""What runs say of a prize, how draws arrive, and what a simulation may be asked."""

from array import array

import pytest
from google.protobuf.json_format import ParseDict
from kuji.admin.v1.simulations_pb2 import SimulateActivityRequest

from services.admin.simulation.curve import Curve, Stretch
from services.admin.simulation.job import FEWEST_RUNS, Job, Stake, Step, job_of, step_of
from services.admin.simulation.player import NEVER, PlayedRuns
from services.admin.simulation.requests import expectation
from services.admin.simulation.summary import PrizeSummary, Quantiles, Regret, summary_of
from services.admin.simulation.worker import steps
from services.common.errors import InvalidArgumentError

EVEN = Curve([Stretch(100.0, 1000)])


def summary(sold_out_by: list[int], left: list[int], units: int) -> PrizeSummary:
    """Of one prize, whose draws come evenly, ten a second for 100 s."""
    return summary_of(PlayedRuns([array("q", sold_out_by)], [array("q", left)]), [units], EVEN)[0]


def test_draws_arrive_evenly_within_each_stretch() -> None:
    """An empty stretch only takes time; the last draw comes at the end of its stretch."""
    curve = Curve([Stretch(10, 5), Stretch(30, 0), Stretch(1, 2)])
    assert (7, 41.0) == (curve.draws, curve.seconds)
    assert [2.0, 10.0, 40.5, 41.0] == [curve.arrival(number) for number in (1, 5, 6, 7)]


def test_quantiles_are_nearest_ranks_and_none_where_most_runs_leave_some() -> None:
    """Runs that never sell out come after all others."""
    found = summary([*range(10, 110, 10), *[NEVER] * 10], [*[0] * 10, *range(1, 11)], 20)
    assert Quantiles(1.0, 10.0, None) == found.stock_out_s
    assert Quantiles(0.0, 0.0, 9.0) == found.left
    assert (0.5, 20 - 55 / 20) == (found.chance_left, found.given)


@pytest.mark.parametrize(
    ("sold_out_by", "left", "units", "findings"),
    [
        ([100, 100, 900], [0, 0, 0], 5, (Regret.SOLD_OUT_EARLY,)),
        ([101, 101, 900], [0, 0, 0], 5, ()),
        ([NEVER, NEVER, 900], [5, 6, 0], 10, (Regret.MUCH_LEFT,)),
        ([NEVER, NEVER, NEVER], [5, 5, 5], 5, (Regret.MUCH_LEFT, Regret.NEVER_GIVEN)),
        ([NEVER, NEVER, NEVER], [0, 0, 0], 0, ()),
    ],
)
def test_finds_what_an_operator_would_regret(
    sold_out_by: list[int], left: list[int], units: int, findings: tuple[Regret, ...]
) -> None:
    """Gone at once, mostly left, or never given at all."""
    assert findings == summary(sold_out_by, left, units).findings


def test_lines_between_the_processes_hold_all() -> None:
    """A job and a step read as they were written."""
    job = Job([Stake(3, 5)], [Stretch(1.5, 7)], 2, 9)
    assert job == job_of(job.to_line())
    for step in (Step(3, 9), Step(9, 9, [summary([NEVER], [4], 4)])):
        assert step == step_of(step.to_line().encode())


def test_job_with_many_wins_plays_fewer_runs_but_never_too_few() -> None:
    """Work is bounded, whatever is asked."""
    assert 1000 == Job([Stake(10_000, 10**8)], [Stretch(1, 10**6)], 1000, 1).affordable_runs
    assert FEWEST_RUNS == Job([Stake(10**9, 10**9)], [Stretch(1, 10**6)], 1000, 1).affordable_runs
    assert 5 == Job([Stake(10**9, 10**9)], [Stretch(1, 10**6)], 5, 1).affordable_runs


def test_steps_begin_at_nothing_and_end_with_what_came_out() -> None:
    """Also where it is over before it begins to tell."""
    first, *_, last = steps(Job([Stake(3, 10**9)], [Stretch(10, 5)], 4, 1))
    assert (Step(0, 4), 4, 4) == (first, last.played, last.runs)
    assert last.prizes is not None
    assert Quantiles(6.0, 6.0, 6.0) == last.prizes[0].stock_out_s


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "draws_per_second"),
        ({"draws_per_second": 1, "arrivals": [[1, 1]]}, "draws_per_second"),
        ({"arrivals": [[1, 1], [1]]}, "arrivals[1]"),
        ({"arrivals": [[1, 1, 1]]}, "arrivals[0]"),
        ({"arrivals": [["1", 1]]}, "arrivals[0]"),
        ({"arrivals": [[0, 1]]}, "arrivals[0]"),
        ({"arrivals": [[1, 1.5]]}, "arrivals[0]"),
        ({"arrivals": [[1, -1]]}, "arrivals[0]"),
        ({"arrivals": [[1, 1e10]]}, "arrivals[0]"),
        ({"arrivals": [[1e9, 1]]}, "arrivals[0]"),
    ],
)
def test_expectation_that_makes_no_sense_names_the_field(
    asked: dict[str, object], field: str
) -> None:
    """Neither or both, no pair, no time, no whole number of draws."""
    with pytest.raises(InvalidArgumentError) as caught:
        expectation(ParseDict(asked, SimulateActivityRequest()))
    assert field == caught.value.metadata["field"]


def test_expectation_is_read_as_asked() -> None:
    """A curve, or evenly; a thousand runs unless told otherwise."""
    curved = expectation(ParseDict({"arrivals": [[1.5, 2]], "runs": 7}, SimulateActivityRequest()))
    assert (None, [Stretch(1.5, 2)], 7) == (curved.draws_per_second, curved.stretches, curved.runs)
    even = expectation(SimulateActivityRequest(draws_per_second=0.5))
    assert (0.5, [], 1000) == (even.draws_per_second, even.stretches, even.runs)
