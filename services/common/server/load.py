"""How many calls a process has in hand, and no more."""

from services.common.errors import OverloadedError
from services.common.metrics import IN_HAND


class Load:
    """
    The calls of one kind that are in hand: one more for as long as its context is open.

    Args:
        kind: For the metric.
        at_most: Beyond it, OverloadedError: a call is shed before anything is done for it.
    """

    def __init__(self, kind: str, at_most: int) -> None:
        self._at_most = at_most
        self._in_hand = 0
        IN_HAND.labels(kind).set_function(lambda: self._in_hand)

    def take(self) -> None:
        """Have one more in hand, until give_back()."""
        if self._in_hand >= self._at_most:
            raise OverloadedError
        self._in_hand += 1

    def give_back(self) -> None:
        """Have one less in hand."""
        self._in_hand -= 1

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.give_back()
