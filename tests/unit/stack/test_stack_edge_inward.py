"""Which headers go inward: by the expression that takes off all others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.edge.inward import KNOWN, others

_NAME = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_!#$%&'*+.^`|~", min_size=1, max_size=20)
_OTHERS = re.compile(others(KNOWN))


@pytest.mark.parametrize("name", [*KNOWN, ":path", ":authority", ":method", ":scheme"])
def test_known_name_stays(name: str) -> None:
    """Nor is what HTTP itself says a stranger's header."""
    assert not _OTHERS.fullmatch(name)


@pytest.mark.parametrize("name", [*KNOWN])
def test_name_that_is_nearly_known_goes(name: str) -> None:
    """Shorter, longer, with another letter."""
    near = {name[:-1], name + "s", "x" + name, name[1:], f"{name}-bin", name[:3] + "!" + name[4:]}
    assert all(_OTHERS.fullmatch(other) for other in near - {*KNOWN})


@given(_NAME | st.sampled_from(KNOWN).flatmap(lambda name: _NAME.map(lambda end: name[:5] + end)))
def test_every_other_name_goes(name: str) -> None:
    """Whatever may be one (RFC 9110)."""
    assert bool(_OTHERS.fullmatch(name)) == (name not in KNOWN)
