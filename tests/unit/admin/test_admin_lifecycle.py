"""The rules of an activity's life."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.admin.lottery.lifecycle import (
    ActivityChange,
    ActivityDraft,
    changed,
    drafted,
    has_ended_for_good,
)
from services.admin.models import ActivityTerms, Phase, Wish
from services.common.errors import InvalidArgumentError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=1)

ONGOING = ActivityTerms(
    name="Spring",
    description="",
    start_time=NOW - HOUR,
    end_time=NOW + HOUR,
    wish=Wish.OPEN,
    cooldown_seconds=0,
    max_draws_per_user=0,
    max_draws_per_day=0,
    max_wins_per_user=0,
    time_zone="UTC",
)
PLANNED = replace(ONGOING, start_time=NOW + HOUR, end_time=NOW + 2 * HOUR)
PAUSED = replace(ONGOING, wish=Wish.PAUSED)
PAUSED_AHEAD = replace(PLANNED, wish=Wish.PAUSED)
ENDED = replace(ONGOING, wish=Wish.ENDED)
TIMED_OUT = replace(ONGOING, start_time=NOW - 2 * HOUR, end_time=NOW - GRACE / 2)
FINISHED = replace(TIMED_OUT, end_time=NOW - GRACE)


def draft(**fields: Any) -> ActivityDraft:
    given = {"start_time": None, "end_time": None, "phase": Phase.PLANNED, **fields}
    return ActivityDraft(
        name="Spring",
        description="",
        cooldown_seconds=0,
        max_draws_per_user=0,
        max_draws_per_day=0,
        max_wins_per_user=0,
        time_zone="UTC",
        **given,
    )


def field_refused(terms: ActivityTerms, change: ActivityChange) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        changed(terms, change, NOW, GRACE)
    return caught.value.metadata["field"]


@pytest.mark.parametrize(
    ("terms", "phase"),
    [
        (PLANNED, Phase.PLANNED),
        (replace(ONGOING, start_time=None), Phase.PLANNED),
        (replace(ENDED, start_time=None), Phase.ENDED),
        (replace(ONGOING, start_time=None, end_time=NOW), Phase.ENDED),
        (ONGOING, Phase.ONGOING),
        (replace(ONGOING, start_time=NOW), Phase.ONGOING),
        (replace(ONGOING, end_time=NOW), Phase.ENDED),
        (replace(ONGOING, end_time=None), Phase.ONGOING),
        (PAUSED, Phase.PAUSED),
        (PAUSED_AHEAD, Phase.PAUSED),
        (replace(TIMED_OUT, wish=Wish.PAUSED), Phase.ENDED),
        (ENDED, Phase.ENDED),
        (TIMED_OUT, Phase.ENDED),
    ],
)
def test_phase_follows_from_wish_and_time(terms: ActivityTerms, phase: Phase) -> None:
    """Ended beats paused beats planned; start is included, end is not."""
    assert terms.phase(NOW) == phase


@pytest.mark.parametrize(
    ("fields", "phase", "start_time"),
    [
        ({}, Phase.PLANNED, None),
        ({"end_time": NOW + HOUR}, Phase.PLANNED, None),
        ({"phase": Phase.ONGOING}, Phase.ONGOING, NOW),
        ({"phase": Phase.PAUSED}, Phase.PAUSED, NOW),
        ({"start_time": NOW - HOUR}, Phase.ONGOING, NOW - HOUR),
        ({"start_time": NOW + HOUR}, Phase.PLANNED, NOW + HOUR),
        ({"start_time": NOW + HOUR, "phase": Phase.ONGOING}, Phase.ONGOING, NOW),
        ({"start_time": NOW - HOUR, "phase": Phase.ONGOING}, Phase.ONGOING, NOW - HOUR),
        ({"start_time": NOW + HOUR, "phase": Phase.PAUSED}, Phase.PAUSED, NOW + HOUR),
        ({"start_time": NOW - 2 * HOUR, "end_time": NOW - HOUR}, Phase.ENDED, NOW - 2 * HOUR),
    ],
)
def test_draft_becomes_terms(
    fields: dict[str, Any], phase: Phase, start_time: datetime | None
) -> None:
    """A new activity is planned unless said otherwise; a start that is given opens it by time."""
    terms = drafted(draft(**fields), NOW)
    assert (terms.phase(NOW), terms.start_time) == (phase, start_time)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"start_time": NOW, "end_time": NOW}, "end_time"),
        ({"end_time": NOW - HOUR}, "end_time"),
        ({"phase": Phase.ENDED}, "status"),
        ({"start_time": NOW - 2 * HOUR, "end_time": NOW, "phase": Phase.ONGOING}, "status"),
    ],
)
def test_draft_is_refused_when_it_contradicts_itself(fields: dict[str, Any], field: str) -> None:
    """An empty span, and a status that time contradicts, name the field."""
    with pytest.raises(InvalidArgumentError) as caught:
        drafted(draft(**fields), NOW)
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize(
    ("terms", "phase", "expected"),
    [
        (PLANNED, Phase.ONGOING, replace(PLANNED, start_time=NOW)),
        (PLANNED, Phase.PLANNED, PLANNED),
        (PLANNED, Phase.PAUSED, PAUSED_AHEAD),
        (PLANNED, Phase.ENDED, replace(PLANNED, wish=Wish.ENDED)),
        (ONGOING, Phase.ONGOING, ONGOING),
        (ONGOING, Phase.PAUSED, PAUSED),
        (ONGOING, Phase.ENDED, ENDED),
        (PAUSED, Phase.ONGOING, ONGOING),
        (PAUSED, Phase.PAUSED, PAUSED),
        (PAUSED, Phase.ENDED, ENDED),
        (PAUSED_AHEAD, Phase.PLANNED, PLANNED),
        (PAUSED_AHEAD, Phase.ONGOING, replace(PLANNED, start_time=NOW)),
        (ENDED, Phase.ENDED, ENDED),
        (TIMED_OUT, Phase.ENDED, replace(TIMED_OUT, wish=Wish.ENDED)),
    ],
)
def test_status_moves_where_allowed(
    terms: ActivityTerms, phase: Phase, expected: ActivityTerms
) -> None:
    """Each allowed step of an activity's life does exactly that."""
    assert changed(terms, ActivityChange(phase=phase), NOW, GRACE) == expected


@pytest.mark.parametrize(
    ("terms", "phase"),
    [
        (ONGOING, Phase.PLANNED),
        (PAUSED, Phase.PLANNED),
        (ENDED, Phase.PLANNED),
        (ENDED, Phase.ONGOING),
        (ENDED, Phase.PAUSED),
        (TIMED_OUT, Phase.ONGOING),
        (TIMED_OUT, Phase.PAUSED),
        (TIMED_OUT, Phase.PLANNED),
    ],
)
def test_status_is_refused_when_life_has_passed_it(terms: ActivityTerms, phase: Phase) -> None:
    """What has begun is never planned again; what has ended stays ended."""
    assert field_refused(terms, ActivityChange(phase=phase)) == "status"


def test_change_leaves_what_is_not_given() -> None:
    """A partial change touches only the fields given."""
    change = ActivityChange(name="Autumn", cooldown_seconds=60)
    assert changed(ONGOING, change, NOW, GRACE) == replace(
        ONGOING, name="Autumn", cooldown_seconds=60
    )


def test_change_to_nothing_counts_as_given() -> None:
    """An empty description and a limit of 0 are values, not absences."""
    terms = replace(ONGOING, description="old", max_draws_per_user=3)
    change = ActivityChange(description="", max_draws_per_user=0)
    assert changed(terms, change, NOW, GRACE) == ONGOING


@pytest.mark.parametrize("terms", [ONGOING, PAUSED, ENDED, TIMED_OUT])
def test_start_is_fixed_when_begun(terms: ActivityTerms) -> None:
    """The start of what has begun cannot be moved."""
    change = ActivityChange(start_time=NOW + timedelta(minutes=1))
    assert field_refused(terms, change) == "start_time"


def test_start_may_be_repeated_when_begun() -> None:
    """Sending back what was read is no change."""
    assert changed(ONGOING, ActivityChange(start_time=ONGOING.start_time), NOW, GRACE) == ONGOING


@pytest.mark.parametrize("terms", [PLANNED, PAUSED_AHEAD])
def test_start_moves_when_not_begun(terms: ActivityTerms) -> None:
    """A start that lies ahead can be moved either way."""
    moved = changed(terms, ActivityChange(start_time=NOW + HOUR / 2), NOW, GRACE)
    assert moved.start_time == NOW + HOUR / 2


def test_end_in_the_past_ends() -> None:
    """An end that has passed means that the activity is ended."""
    terms = changed(ONGOING, ActivityChange(end_time=NOW - HOUR / 2), NOW, GRACE)
    assert terms.phase(NOW) == Phase.ENDED


def test_end_extended_reopens_what_only_time_ended() -> None:
    """An activity that time alone has ended draws again when its end is moved ahead."""
    terms = changed(TIMED_OUT, ActivityChange(end_time=NOW + HOUR), NOW, GRACE)
    assert terms.phase(NOW) == Phase.ONGOING


@pytest.mark.parametrize("terms", [ENDED, FINISHED])
def test_end_is_fixed_when_ended_for_good(terms: ActivityTerms) -> None:
    """What its operator ended, or time a while ago, can neither be extended nor cut short."""
    for end_time in (NOW + 2 * HOUR, NOW - GRACE * 2):
        assert field_refused(terms, ActivityChange(end_time=end_time)) == "end_time"


@pytest.mark.parametrize("terms", [ENDED, FINISHED])
def test_end_may_be_repeated_when_ended_for_good(terms: ActivityTerms) -> None:
    """Sending back what was read is no change; a name may still be corrected."""
    change = ActivityChange(end_time=terms.end_time, name="Autumn")
    assert changed(terms, change, NOW, GRACE) == replace(terms, name="Autumn")


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (ONGOING, False),
        (replace(ONGOING, end_time=None), False),
        (PAUSED, False),
        (TIMED_OUT, False),
        (FINISHED, True),
        (replace(FINISHED, wish=Wish.PAUSED), True),
        (ENDED, True),
        (replace(PLANNED, wish=Wish.ENDED), True),
    ],
)
def test_ended_for_good_is_by_operator_or_by_time_after_the_grace(
    terms: ActivityTerms, expected: bool
) -> None:
    """The first instant past the grace is for good."""
    assert expected == has_ended_for_good(terms, NOW, GRACE)


def test_end_and_status_may_reopen_together() -> None:
    """The status is judged with the times of the same change."""
    change = ActivityChange(end_time=NOW + HOUR, phase=Phase.ONGOING)
    assert changed(TIMED_OUT, change, NOW, GRACE).phase(NOW) == Phase.ONGOING


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (ActivityChange(end_time=PLANNED.start_time), "end_time"),
        (ActivityChange(start_time=PLANNED.end_time), "start_time"),
        (ActivityChange(start_time=NOW + 5 * HOUR, end_time=NOW + 4 * HOUR), "end_time"),
    ],
)
def test_span_is_refused_when_empty(change: ActivityChange, field: str) -> None:
    """The end lies after the start; the field that broke it is named."""
    assert field_refused(PLANNED, change) == field
