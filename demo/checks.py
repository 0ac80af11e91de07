"""What a verdict is made of."""

from collections.abc import Sequence
from typing import NamedTuple


class Check(NamedTuple):
    """A promise, and what breaks it; no problems: it holds."""

    promise: str
    problems: Sequence[str]
