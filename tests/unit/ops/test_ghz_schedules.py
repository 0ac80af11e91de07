"""When calls are due and how many workers there are: held to ghz's own pacers."""

from itertools import islice
from typing import Any

import pytest

from ops.ghz.crew import crew_changes
from ops.ghz.notation import NS_PER_S
from ops.ghz.options import GhzOptions
from ops.ghz.pacing import pacer_of
from ops.ghz.statistics import CallResult, Tallies, histogram_of, percentiles_of
from tests.load.ghz.record import PACES, POINTS
from tests.support.ghz.facts import fact


@pytest.mark.parametrize("place", range(len(PACES)))
def test_wait_before_a_call_is_that_of_ghz(place: int) -> None:
    """At each of sixty points, to a millisecond; below 0 is due at once."""
    pace = PACES[place]
    options = GhzOptions(
        rps=0 if pace.get("Step") else pace["Start"],
        load_schedule="step" if pace.get("Step") else "const",
        load_start=pace["Start"],
        load_step=pace.get("Step", 0),
        load_end=pace.get("End", 0),
        load_step_duration=pace.get("StepNs", 0),
        load_max_duration=pace.get("MaxNs", 0),
    )
    pacer = pacer_of(options)
    for (elapsed_ns, calls), expected in zip(POINTS, fact("pacing.json")[place], strict=True):
        if expected < 10**15:  # a count below nothing wraps around in ghz
            wait_ns = max(0, pacer.wait_ns(elapsed_ns, calls))
            assert abs(max(0, expected) - wait_ns) < 1_000_000, (elapsed_ns, calls)


def test_line_is_a_step_of_a_second() -> None:
    """Whatever step duration is given."""
    line = GhzOptions(load_schedule="line", load_start=5, load_step=5, load_end=15)
    step = GhzOptions(
        load_schedule="step",
        load_start=5,
        load_step=5,
        load_end=15,
        load_step_duration=NS_PER_S,
    )
    assert pacer_of(step) == pacer_of(line)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [(0, 50)]),
        (
            {"concurrency_start": 5, "concurrency_step": 5, "concurrency_end": 15},
            [(0, 5), (2, 5), (4, 5)],
        ),
        (
            {"concurrency_start": 9, "concurrency_step": -4, "concurrency_end": 2},
            [(0, 9), (2, -4), (4, -4)],
        ),
        (
            {
                "concurrency_start": 5,
                "concurrency_step": 5,
                "concurrency_end": 30,
                "concurrency_max_duration": 5 * NS_PER_S,
            },
            [(0, 5), (2, 5), (4, 5), (6, 15)],
        ),
        ({"concurrency_start": 3, "concurrency_step": -2}, [(0, 3), (2, -2), (4, -1)]),
    ],
)
def test_workers_come_and_go_by_the_schedule(
    more: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    """Seconds after the start, and how many."""
    schedule = "step" if more else "const"
    options = GhzOptions(
        concurrency_schedule=schedule, concurrency_step_duration=2 * NS_PER_S, **more
    )
    changes = list(islice(crew_changes(options), 10))
    assert expected == [(change.at_ns // NS_PER_S, change.delta) for change in changes]


def test_workers_grow_without_end_when_the_schedule_has_none() -> None:
    """A line of one more each second."""
    options = GhzOptions(concurrency_schedule="line", concurrency_start=1, concurrency_step=1)
    changes = list(islice(crew_changes(options), 5))
    assert [0, 1, 2, 3, 4] == [change.at_ns // NS_PER_S for change in changes]


def test_percentile_takes_the_lower_of_two_when_it_falls_between() -> None:
    """Of ten values the 50th percentile is the fifth, the 95th the tenth."""
    found = percentiles_of([number / 1000 for number in range(1, 11)])
    assert [1, 3, 5, 8, 9, 10, 10] == [each.latency_ns // 1_000_000 for each in found]
    assert [10, 25, 50, 75, 90, 95, 99] == [each.percentage for each in found]


def test_histogram_has_eleven_bars_from_the_fastest_to_the_slowest() -> None:
    """The first bar holds the fastest alone; marks are in seconds."""
    bars = histogram_of([0.010, 0.011, 0.012, 0.020])
    assert 11 == len(bars)
    assert (0.010, 0.020) == (bars[0].mark_s, bars[-1].mark_s)
    assert [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1] == [bar.count for bar in bars]
    assert 1.0 == sum(bar.frequency for bar in bars)


def test_histogram_of_one_value_has_it_in_the_first_bar() -> None:
    """All marks are the same then."""
    assert [1, *[0] * 10] == [bar.count for bar in histogram_of([0.5])]


def test_failures_count_in_the_average_and_in_latencies_only_if_asked() -> None:
    """And the first ones not at all, if they are to be skipped."""
    tallies = Tallies(skip=1)
    for ms, error in ((900, ""), (10, ""), (20, ""), (60, "no")):
        tallies.add(CallResult(1, ms * 1_000_000, "Internal" if error else "OK", error))
    assert (3, 30_000_000, {"no": 1}) == (tallies.count, tallies.average_ns(), tallies.errors)
    assert 20_000_000 == tallies.latencies(count_errors=False).slowest_ns
    assert 60_000_000 == tallies.latencies(count_errors=True).slowest_ns
    assert 6.0 == tallies.rate(500_000_000)
