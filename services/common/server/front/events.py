"""What the core says has happened, brought to the event loop, as much at once as has come."""

import asyncio
from collections.abc import Callable, Iterator
from threading import Semaphore, Thread
from typing import Any, TypeAlias

import structlog
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # grpc's stubs end above it

log = structlog.get_logger()

# Called on the event loop with what has completed.
Tag: TypeAlias = Callable[[Any], None]

_AT_ONCE = 256  # then the rest of the event loop has its turn
_NO_WAIT = 0.0


class Events:
    """
    A completion queue of the core. While nothing happens a thread waits there; once something does,
    the event loop takes it and what follows, and leaves the queue to the thread again when nothing
    more comes. So no tag is called but on the event loop.

    Args:
        taken: Called after each round of what has happened.
    """

    def __init__(self, taken: Callable[[], None]) -> None:
        self.queue = cygrpc.CompletionQueue()
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._taken = taken
        self._turns_of_thread = Semaphore()
        self._thread = Thread(target=self._wait, name="front", daemon=True)

    def start(self) -> None:
        """Wait for what happens, until close()."""
        self._thread.start()

    def close(self) -> None:
        """End once all that was begun has completed."""
        self.queue.shutdown()

    def _wait(self) -> None:
        while self._turns_of_thread.acquire() and not self.ended.is_set():
            self._loop.call_soon_threadsafe(self._take_with, self._next(None))

    def _take_with(self, event: Any) -> None:  # noqa: ANN401
        self._tell(event)
        self._take()

    def _take(self) -> None:
        has_come = False
        for event in self._at_hand():
            has_come = True
            self._tell(event)
        try:
            self._taken()
        except Exception:
            log.exception("a round of events was not taken")
        if has_come and not self.ended.is_set():
            self._loop.call_soon(self._take)
        else:
            self._turns_of_thread.release()

    def _at_hand(self) -> Iterator[Any]:
        for _ in range(_AT_ONCE):
            event = None if self.ended.is_set() else self._next(_NO_WAIT)
            if event is None or event.completion_type == _NOTHING:
                return
            yield event

    def _next(self, deadline: float | None) -> Any:  # noqa: ANN401
        """What happened next; None: it could not be read, and is lost."""
        try:
            return self.queue.poll(deadline)
        except Exception:
            log.exception("an event was not read")
            return None

    def _tell(self, event: Any) -> None:  # noqa: ANN401
        if event is None:
            return
        if event.completion_type == _END:
            self.ended.set()
            return
        try:
            event.tag(event)
        except Exception:
            log.exception("an event was not taken")


_NOTHING = cygrpc.CompletionType.queue_timeout
_END = cygrpc.CompletionType.queue_shutdown
