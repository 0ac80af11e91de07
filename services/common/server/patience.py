"""How long a call may take; what takes longer is answered in time all the same."""

import asyncio
from collections.abc import Callable
from types import TracebackType

# What was cancelled may clean up for so long; some clients wait for a server that is frozen.
_CLEANUP_S = 0.02


class TimeBounds:
    """The bounds that are in force, and one more for all of them once the process is to end."""

    def __init__(self) -> None:
        self.within: set[TimeBound] = set()
        self.closes_at: float | None = None

    def close_at(self, moment: float) -> None:
        """
        Let no work last beyond *moment*, of the event loop's clock: what the process as it ends
        has no time for is told so, while it can still be told.
        """
        self.closes_at = moment
        for bound in self.within:
            bound.end_by(moment)


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
        until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        self._bounds = bounds
        self._timeout = asyncio.timeout_at(until)
        self._on_late = on_late
        self._late: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._bounds.within.add(self)
        self._arm()
        if self._bounds.closes_at is not None:
            self.end_by(self._bounds.closes_at)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bounds.within.discard(self)
        self._disarm()
        await self._timeout.__aexit__(kind, error, traceback)

    def end_by(self, moment: float) -> None:
        """Bring the bound forward to *moment*, unless it is before that."""
        until = self._timeout.when()
        if not self._timeout.expired() and (until is None or moment < until):
            self._timeout.reschedule(moment)
            self._disarm()
            self._arm()

    def _arm(self) -> None:
        until = self._timeout.when()
        if until is not None:
            loop = asyncio.get_running_loop()
            self._late = loop.call_at(until + _CLEANUP_S, self._on_late)

    def _disarm(self) -> None:
        if self._late is not None:
            self._late.cancel()
