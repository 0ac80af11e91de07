"""What a smoke test tells of itself: each step, whether it went well, and how long it took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ops.edge import passes


class SmokeError(Exception):
    """The installation does not do what it has to; the message says what."""


def expect(held: bool, otherwise: str) -> None:
    """SmokeError, which says *otherwise*, unless *held*."""
    if not held:
        raise SmokeError(otherwise)


class Transcript:
    """
    The steps as they are made.

    Args:
        say: Writes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.is_well = True

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step; whatever fails in it is told with its name, and ends the test."""
        started = time.monotonic()
        try:
            yield
        except Exception as error:
            self.is_well = False
            why = str(error) or ("no answer in time" if passes(error) else type(error).__name__)
            self.say(f"✗ {what}: {why}")
            raise SmokeError(f"{what}: {why}") from error
        self.say(f"✓ {what} ({(time.monotonic() - started) * 1000:.0f} ms)")
