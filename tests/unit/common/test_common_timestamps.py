"""Times between their three forms."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from services.common.timestamps import datetime_of_ms, ms_of, timestamp_of, timestamp_of_ms

_ms = st.integers(0, 4_102_444_800_000)  # 1970 … 2100


@given(_ms)
def test_moment_is_the_same_when_it_goes_from_store_to_postgres_and_back(ms: int) -> None:
    """Milliseconds survive as a datetime: floats lose none."""
    assert ms == ms_of(datetime_of_ms(ms))


@given(_ms)
def test_moment_is_the_same_on_the_wire_from_either_form(ms: int) -> None:
    """A Timestamp made of milliseconds equals the one made of their datetime."""
    assert timestamp_of(datetime_of_ms(ms)) == timestamp_of_ms(ms)


def test_moment_is_converted_when_its_zone_is_not_utc() -> None:
    """Noon at +09:00 is three in the morning UTC."""
    tokyo = timezone(timedelta(hours=9))
    noon = datetime(2026, 1, 1, 12, tzinfo=tokyo)
    assert timestamp_of(datetime(2026, 1, 1, 3, tzinfo=UTC)) == timestamp_of(noon)
