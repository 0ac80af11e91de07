"""How late the event loop is: whatever blocks it holds up every call of the process."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from prometheus_client import Histogram

LAG_S = Histogram(
    "kuji_event_loop_lag_seconds",
    "How much later than due the event loop did what was due",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
# Each look wakes a process that may have nothing else to do; a percentile of minutes needs no more.
_EVERY_S = 1.0


class _Watch:
    """A timer that looks how late it is, and sets itself again: no task has to wake up for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._set()

    def _set(self) -> None:
        self._due = self._loop.time() + _EVERY_S
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        LAG_S.observe(max(0.0, self._loop.time() - self._due))
        self._set()

    def end(self) -> None:
        """Look no more."""
        self._timer.cancel()


async def watched(work: Coroutine[Any, Any, None]) -> None:
    """Do *work*, and watch the event loop meanwhile."""
    watch = _Watch(asyncio.get_running_loop())
    try:
        await work
    finally:
        watch.end()
