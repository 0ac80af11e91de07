"""How names are shown to others."""

import pytest

from services.common.masking import mask


@pytest.mark.parametrize(
    ("name", "shown"),
    [("", "***"), ("a", "a***"), ("ab", "a***"), ("abc", "a***c"), ("alice.the.first", "a***t")],
)
def test_name_shows_its_ends_at_most_when_masked(name: str, shown: str) -> None:
    """First and last character, never the length; short names show the first alone."""
    assert shown == mask(name)
