"""How long a call may take; what takes longer is answered in time all the same."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

# What was cancelled may clean up for so long; some clients wait for a server that is frozen.
_CLEANUP_S = 0.02
# Bounds that end within the same hundredth of a second share a timer, which costs a third of two of
# their own. What is kept back from a caller's deadline is five times that.
_TICKS_PER_S = 100
_UNBOUNDED = -1


class Bound(Protocol):
    """
    What is to end by some moment.

    Args:
        until: That, of the event loop's clock; None: bounded by close_at() alone.
        tick: For TimeBounds.
    """

    until: float | None
    tick: int

    def end(self) -> None:
        """It is time."""


@dataclass(slots=True)
class _Tick:
    """Those that end at one moment, and the timer that tells them."""

    timer: asyncio.TimerHandle
    within: set[Bound] = field(default_factory=set)


class TimeBounds:
    """The bounds that are in force, and one more for all of them once the process is to end."""

    def __init__(self) -> None:
        self._ticks: dict[int, _Tick] = {}
        self._unbounded: set[Bound] = set()
        self._closes_at: float | None = None

    def close_at(self, moment: float) -> None:
        """
        Let no work last beyond *moment*, of the event loop's clock: what the process as it ends
        has no time for is told so, while it can still be told.
        """
        self._closes_at = moment
        closing = _number_of(moment)
        later = [tick.within for number, tick in self._ticks.items() if number > closing]
        for bound in [*self._unbounded, *(bound for within in later for bound in within)]:
            self.discard(bound)
            self.add(bound)

    def add(self, bound: Bound) -> None:
        """End *bound* when it is time."""
        until = bound.until
        if self._closes_at is not None and (until is None or self._closes_at < until):
            until = self._closes_at
        if until is None:
            bound.tick = _UNBOUNDED
            self._unbounded.add(bound)
            return
        number = bound.tick = _number_of(until)
        tick = self._ticks.get(number)
        if tick is None:
            loop = asyncio.get_running_loop()
            timer = loop.call_at(number / _TICKS_PER_S, self._end, number)
            tick = self._ticks[number] = _Tick(timer)
        tick.within.add(bound)

    def discard(self, bound: Bound) -> None:
        """Forget *bound*: its work is done."""
        tick = self._ticks.get(bound.tick)
        if tick is None:
            self._unbounded.discard(bound)
            return
        tick.within.discard(bound)
        if not tick.within:  # a timer of nobody's would stay as long as a stranger likes
            tick.timer.cancel()
            del self._ticks[bound.tick]

    def _end(self, number: int) -> None:
        for bound in self._ticks.pop(number).within:
            bound.end()


def _number_of(moment: float) -> int:
    """The tick at or after *moment*."""
    return -int(-moment * _TICKS_PER_S // 1)


class TimeBound:
    """
    A bound around the work of a call, or one step of a stream: TimeoutError beyond it.

    Args:
        seconds: From its begin on; None: bounded by close_at() alone.
        on_late: Called when the work, though cancelled, does not end.
    """

    def __init__(
        self, bounds: TimeBounds, seconds: float | None, on_late: Callable[[], None]
    ) -> None:
        self.until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        self.tick = -1
        self._bounds = bounds
        self._on_late = on_late
        self._late: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._bounds.add(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._late is None:
            self._bounds.discard(self)
            return
        self._late.cancel()
        # As in asyncio.Timeout: who else cancelled meanwhile is to be obeyed.
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def end(self) -> None:
        """It is time."""
        self._late = asyncio.get_running_loop().call_later(_CLEANUP_S, self._on_late)
        self._task.cancel()
