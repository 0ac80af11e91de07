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
_EVERY_S = 0.1


async def _watch() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        LAG_S.observe(max(0.0, loop.time() - due))


async def watched(work: Coroutine[Any, Any, None]) -> None:
    """Do *work*, and watch the event loop meanwhile."""
    watching = asyncio.create_task(_watch())
    try:
        await work
    finally:
        watching.cancel()
