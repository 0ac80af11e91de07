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

    def __enter__(self) -> None:
        if self._in_hand >= self._at_most:
            raise OverloadedError
        self._in_hand += 1

    def __exit__(self, *_: object) -> None:
        self._in_hand -= 1
