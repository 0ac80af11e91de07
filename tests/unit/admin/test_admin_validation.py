"""What operators may write, field by field."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from services.admin import validation
from services.admin.models import PPB
from services.common.errors import InvalidArgumentError


def test_name_is_trimmed() -> None:
    """Blanks around a name are not part of it."""
    assert validation.name("name", "  Summer 赏 \n") == "Summer 赏"


@pytest.mark.parametrize(
    "value",
    [
        *("", "   ", "a\nb", "a\0b", "\x7f", "\ud800"),
        *("\u200b", "\u2060\ufeff", "\u3164", "\u2800 \u115f", "\u0301", "\u00a0\u3000", "\ufe0f"),
        *("gold\u202enib", "\u2067a\u2069", "a\u200eb", "a\u061cb", "a\u2028b", "a\u00adb"),
        *("a\u200b", "\u200da", "a \u200db", "a\U000e0041", "a\ue000"),
    ],
    ids=ascii,
)
def test_name_is_refused_when_it_is_not_one(value: str) -> None:
    """Empty, nothing to see, controls of direction and others: the field is named."""
    with pytest.raises(InvalidArgumentError) as caught:
        validation.name("name", value)
    assert caught.value.metadata == {"field": "name"}


@pytest.mark.parametrize(
    "value",
    [
        "一番赏 A賞",
        "مرحبا",
        "می\u200cخواهم",
        "क्\u200dष",
        "👩\u200d👩\u200d👧",
        "❤️",
        "e\u0301",
        "★",
        "7",
    ],
    ids=ascii,
)
def test_name_may_be_of_any_script(value: str) -> None:
    """Joiners between what they join, combining marks and emoji are text."""
    assert validation.name("name", value) == value


def test_name_may_have_100_characters_of_any_script() -> None:
    """Length counts characters, not bytes."""
    assert validation.name("name", "赏" * 100) == "赏" * 100


@pytest.mark.parametrize(
    ("value", "ppb"),
    [
        (0.0, 0),
        (-0.0, 0),
        (1.0, PPB),
        (0.1, 100_000_000),
        (0.3, 300_000_000),
        (1e-9, 1),
        (0.999999999, 999_999_999),
        (0.123456789, 123_456_789),
    ],
)
def test_probability_is_exact(value: float, ppb: int) -> None:
    """The decimal that the operator typed becomes parts per billion without rounding."""
    assert validation.probability_ppb("probability", value) == ppb


@given(st.integers(0, PPB))
def test_probability_survives_the_way_out_and_back(ppb: int) -> None:
    """What an answer shows can be sent back unchanged, for every step of one in 10^9."""
    assert validation.probability_ppb("probability", ppb / PPB) == ppb


@pytest.mark.parametrize(
    "value",
    [1e-10, 0.1234567891, 1 / 3, 5e-324],
)
def test_probability_is_refused_when_out_of_steps(value: float) -> None:
    """More than nine decimals name the field."""
    with pytest.raises(InvalidArgumentError) as caught:
        validation.probability_ppb("probability", value)
    assert caught.value.metadata == {"field": "probability"}


def test_moment_is_cut_to_milliseconds() -> None:
    """Finer than the draw's clock, a time would not come back as it was stored."""
    moment = validation.moment("start_time", Timestamp(seconds=1_900_000_000, nanos=1_999_999))
    assert moment == datetime(2030, 3, 17, 17, 46, 40, 1000, UTC)


def test_moment_reaches_the_end_of_9999() -> None:
    """The last instant that a timestamp can carry is allowed."""
    moment = validation.moment("t", Timestamp(seconds=253_402_300_799, nanos=999_999_999))
    assert moment == datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)


@pytest.mark.parametrize(
    ("value", "zone"), [("", "UTC"), ("UTC", "UTC"), ("Asia/Tokyo", "Asia/Tokyo")]
)
def test_time_zone_is_an_iana_name(value: str, zone: str) -> None:
    """Names of the IANA list pass; none means UTC."""
    assert validation.time_zone("time_zone", value) == zone


@pytest.mark.parametrize(
    "value",
    ["Mars/Olympus", "America", "../etc/passwd", "asia/tokyo", "/etc/localtime", "a\0b", "\ud800"],
    ids=ascii,
)
def test_time_zone_is_refused_when_unknown(value: str) -> None:
    """Folders, paths and inventions name the field, and no file is opened for them."""
    with pytest.raises(InvalidArgumentError) as caught:
        validation.time_zone("time_zone", value)
    assert caught.value.metadata == {"field": "time_zone"}
