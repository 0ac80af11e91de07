"""The newest winners, each encoded once: what listeners that come back, or are slow, still get."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from operator import attrgetter

from services.history.lottery.winners import Winner

ALL_ACTIVITIES = 0
Encode = Callable[[Winner], bytes]
_win_no = attrgetter("win_no")


class WinEvent:
    """A winner; *encode* makes its event, once, however many hear of it."""

    def __init__(self, winner: Winner, encode: Encode) -> None:
        self.winner = winner
        self.win_no = winner.win_no
        self._encode = encode

    @cached_property
    def event(self) -> bytes:
        """Its event."""
        return self._encode(self.winner)


class WinLog:
    """
    All winners after number *floor* and up to number *last*, of which the newest are kept.

    Args:
        capacity: At least so many are, at most an eighth more.
        encode: Makes the event of one.
    """

    def __init__(self, capacity: int, encode: Encode) -> None:
        self.floor = 0
        self.last = 0
        self._capacity = capacity
        self._encode = encode
        self._wins: dict[int, list[WinEvent]] = defaultdict(list)

    def begin_after(self, win_no: int) -> None:
        """Forget all; winner *win_no* + 1 is to come next."""
        self.floor = self.last = win_no
        self._wins.clear()

    def extend(self, winners: Sequence[Winner]) -> None:
        """Add *winners*, in order; those that are known are passed over."""
        for winner in winners:
            if winner.win_no > self.last:
                self.last = winner.win_no
                win = WinEvent(winner, self._encode)
                for activity_id in {ALL_ACTIVITIES, winner.activity_id}:
                    self._wins[activity_id].append(win)
        wins = self._wins[ALL_ACTIVITIES]
        if len(wins) > self._capacity + self._capacity // 8:
            self._forget_up_to(wins[-self._capacity - 1].win_no)

    def _forget_up_to(self, win_no: int) -> None:
        self.floor = win_no
        for activity_id, wins in list(self._wins.items()):
            del wins[: bisect_right(wins, win_no, key=_win_no)]
            if not wins:
                del self._wins[activity_id]

    def after(self, win_no: int, activity_id: int, size: int) -> Sequence[WinEvent]:
        """The first winners after *win_no*, of an activity (0: of all), at most *size*."""
        wins = self._wins.get(activity_id, [])
        begin = bisect_right(wins, win_no, key=_win_no)
        return wins[begin : begin + size]

    def covers(self, win_no: int) -> bool:
        """Whether all that came after *win_no* is at hand."""
        return self.floor <= win_no <= self.last
