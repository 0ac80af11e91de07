"""Draw ids, parsed strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.draw_id import DrawId, parse_draw_id
from services.common.errors import InvalidArgumentError

places = st.integers(1, 2**63 - 1)


@given(places, places)
def test_draw_id_is_itself_again_when_written_and_parsed(pool_id: int, seq: int) -> None:
    """Every id that can exist is understood."""
    assert DrawId(pool_id, seq) == parse_draw_id(str(DrawId(pool_id, seq)))


@pytest.mark.parametrize(
    "text",
    ["", "1", "1-", "-1", "0-1", "1-0", "01-1", "1-01", "+1-1", "1--1", "1-1-1", " 1-1", "1-1\n",
     "1_0-1", "a-1", "１-1", "9223372036854775808-1", "1-9223372036854775808", "1" * 5000],
)  # fmt: skip
def test_draw_id_is_refused_when_it_is_no_id(text: str) -> None:
    """Anything else is INVALID_ARGUMENT, and names its field."""
    with pytest.raises(InvalidArgumentError) as caught:
        parse_draw_id(text)
    assert {"field": "draw_id"} == caught.value.metadata
