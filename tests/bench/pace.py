"""When a generator makes its calls."""

import itertools
import time
from collections.abc import Iterator


def numbers(count: int, seconds: float) -> Iterator[int]:
    """From 0 on: *count* of them; with no count, until *seconds* have passed."""
    if count:
        yield from range(count)
        return
    until = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() >= until:
            return
        yield number
