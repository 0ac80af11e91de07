"""When a day begins, and whose day it is."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from services.history.blindbox.public_records import start_of_day
from services.history.settings import HistorySettings

TOLD = {"listen": "", "postgres_dsn": "postgresql://", "redis_url": "redis://", "auth_address": ""}


@pytest.mark.parametrize(
    ("zone", "moment", "began"),
    [
        ("UTC", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", "2026-03-01T23:59:59Z", "2026-03-01T00:00:00Z"),
        ("Asia/Shanghai", "2026-03-01T15:59:59Z", "2026-02-28T16:00:00Z"),
        ("Asia/Shanghai", "2026-03-01T16:00:00Z", "2026-03-01T16:00:00Z"),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z"),
        ("Europe/Berlin", "2026-03-30T12:00:00Z", "2026-03-29T22:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z"),
    ],
    ids=[
        "midnight",
        "a second before",
        "east",
        "east, midnight",
        "day of the shift",
        "after it",
        "a day that began at one",
    ],
)
def test_day_begins_at_midnight_of_its_time_zone(zone: str, moment: str, began: str) -> None:
    """Days of 23 and 25 hours, and days without a midnight, too."""
    found = start_of_day(datetime.fromisoformat(moment), ZoneInfo(zone))
    assert (datetime.fromisoformat(began), UTC) == (found, found.tzinfo)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "asia/shanghai"])
def test_time_zone_that_is_none_stops_the_process(name: str) -> None:
    """A mistyped setting is told at the start, not at the first list."""
    with pytest.raises(ValidationError, match="time zone of the IANA database"):
        HistorySettings(**TOLD, time_zone=name)  # type: ignore[arg-type]


def test_time_zone_is_utc_unless_told() -> None:
    """Days are UTC's; any other zone by its IANA name."""
    assert "UTC" == HistorySettings(**TOLD).time_zone  # type: ignore[arg-type]
    told = HistorySettings(**TOLD, time_zone="Asia/Shanghai")  # type: ignore[arg-type]
    assert "Asia/Shanghai" == told.time_zone
