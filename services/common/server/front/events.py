"""What the core says has happened, brought to the event loop: one wake for all that has arrived."""

import asyncio
from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeAlias

import structlog
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # grpc's stubs end above it

log = structlog.get_logger()

# Called on the events' own thread with what has completed.
Tag: TypeAlias = Callable[[Any], None]


class Events:
    """
    A completion queue of the core, and the thread that waits for it.

    Args:
        taken: Called on the event loop after each round of what was told.
    """

    def __init__(self, taken: Callable[[], None]) -> None:
        self.queue = cygrpc.CompletionQueue()
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._taken = taken
        self._told: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._is_woken = False
        self._thread = Thread(target=self._wait, name="front", daemon=True)

    def start(self) -> None:
        """Wait for what happens, until close()."""
        self._thread.start()

    def tell(self, what: Callable[[Any], None], of: Any) -> None:  # noqa: ANN401
        """Call *what* on the event loop, from the thread of the events."""
        self._told.append((what, of))
        self.wake()

    def wake(self) -> None:
        """Let there be a round, from the thread of the events, if nothing is told or something."""
        if not self._is_woken:  # set back before anything is taken: nothing is left lying
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._take)

    def close(self) -> None:
        """End once all that was begun has completed."""
        self.queue.shutdown()

    def _take(self) -> None:
        self._is_woken = False
        for _ in range(len(self._told)):  # what comes meanwhile lets the rest of the loop go first
            what, of = self._told.popleft()
            try:
                what(of)
            except Exception:
                log.exception("an event was not taken")
        self._taken()

    def _wait(self) -> None:
        goes_on = True
        while goes_on:
            try:
                goes_on = self._next()
            except Exception:  # without this thread there are no calls
                log.exception("an event was not told")
        self._loop.call_soon_threadsafe(self.ended.set)

    def _next(self) -> bool:
        """Wait for one event, and tell it; False: there will be no further one."""
        event = self.queue.poll()
        if event.completion_type == cygrpc.CompletionType.queue_shutdown:
            return False
        event.tag(event)
        return True
