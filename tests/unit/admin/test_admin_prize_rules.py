"""Rules over all prizes of an activity, and the configuration that the engine gets of them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from google.protobuf.json_format import MessageToDict

from services.admin.lottery.pool_config import pool_config
from services.admin.lottery.prizes import PrizeChange, check_odds, check_room
from services.admin.models import PPB, Activity, ActivityTerms, Phase, Prize, PrizeTerms, Wish
from services.common.errors import InvalidArgumentError

NOW = datetime(2026, 7, 1, tzinfo=UTC)
TERMS = PrizeTerms("Bear", "", "b.png", 5, PPB // 2, True, 2)


def prize(prize_id: int, terms: PrizeTerms = TERMS, is_deleted: bool = False) -> Prize:
    return Prize(prize_id, 3, 0, is_deleted, NOW, NOW, terms)


def test_odds_may_sum_to_exactly_one() -> None:
    """A certain win is allowed."""
    check_odds([prize(1)], TERMS)


def test_odds_are_refused_when_they_sum_to_more() -> None:
    """One part in a billion too much names the field."""
    with pytest.raises(InvalidArgumentError) as caught:
        check_odds([prize(1)], replace(TERMS, probability_ppb=PPB // 2 + 1))
    assert caught.value.metadata == {"field": "probability"}


def test_odds_of_disabled_and_deleted_prizes_do_not_count() -> None:
    """Only what can be won takes a share."""
    others = [prize(1, replace(TERMS, is_enabled=False)), prize(2, is_deleted=True)]
    check_odds(others, replace(TERMS, probability_ppb=PPB))


def test_odds_of_a_disabled_prize_may_be_anything() -> None:
    """A disabled prize takes its share when it is enabled, not before."""
    check_odds([prize(1), prize(2)], replace(TERMS, is_enabled=False))


def test_room_ends_at_256_live_prizes() -> None:
    """Deleted prizes do not count; the 257th live one is refused."""
    check_room([prize(number, is_deleted=number > 255) for number in range(1, 400)])
    with pytest.raises(InvalidArgumentError):
        check_room([prize(number) for number in range(256)])


def test_change_touches_only_what_is_given() -> None:
    """A partial change leaves the rest, and 0 or empty count as given."""
    change = PrizeChange(total_count=0, description="", is_enabled=False)
    expected = replace(TERMS, total_count=0, description="", is_enabled=False)
    assert change.applied_to(replace(TERMS, description="old")) == expected


def test_config_holds_all_that_the_engine_needs() -> None:
    """Every field of the activity and its prizes arrives in the engine's units."""
    terms = ActivityTerms("Spring", "", NOW, None, Wish.PAUSED, 30, 10, 3, 2, "Asia/Kolkata")
    activity = Activity(3, 8, "ab", Phase.PAUSED, NOW, NOW, terms)
    deleted = prize(2, replace(TERMS, is_enabled=False), is_deleted=True)
    held = replace(prize(1), held_count=2)
    assert [1] == [p.prize_id for p in pool_config(activity, [held, deleted], NOW).prizes]
    assert MessageToDict(pool_config(activity, [held, deleted], NOW, [2])) == {
        "mode": "POOL_MODE_ODDS",
        "status": "POOL_STATUS_PAUSED",
        "startMs": "1782864000000",
        "limits": {
            "cooldownMs": "30000",
            "drawsPerUser": 10,
            "drawsPerDay": 3,
            "winsPerUser": 2,
            "dayOffsetMinutes": 330,
        },
        "prizes": [
            {
                "prizeId": "1",
                "name": "Bear",
                "imageUrl": "b.png",
                "units": "3",
                "weight": "500000000",
                "enabled": True,
                "winsPerUser": 2,
                "heldUnits": "2",
            },
            {
                "prizeId": "2",
                "name": "Bear",
                "imageUrl": "b.png",
                "units": "5",
                "weight": "500000000",
                "winsPerUser": 2,
                "retired": True,
            },
        ],
        "activityId": "3",
    }


@pytest.mark.parametrize(
    ("moment", "minutes"),
    [(datetime(2026, 1, 1, tzinfo=UTC), -300), (datetime(2026, 7, 1, tzinfo=UTC), -240)],
)
def test_config_takes_the_offset_of_the_moment(moment: datetime, minutes: int) -> None:
    """A day begins at local midnight, in summer time and out of it."""
    terms = ActivityTerms("S", "", NOW, None, Wish.OPEN, 0, 0, 0, 0, "America/New_York")
    activity = Activity(3, 8, "ab", Phase.ONGOING, NOW, NOW, terms)
    assert pool_config(activity, [], moment).limits.day_offset_minutes == minutes
