"""How busy the generator was: whether it, and not the server, was the limit."""

import time
from dataclasses import dataclass
from pathlib import Path

_SCHEDULED = Path("/proc/thread-self/schedstat")
_LIMIT = 0.9  # of the thread's time; what is left is a fair wait for answers


@dataclass(frozen=True)
class Busyness:
    """
    What a run cost.

    Attributes:
        loop: Share of the wall time that the event loop's thread was at work, 0 … 1.
        cores: CPU of the whole process by wall time.
        waiting: Share that the thread was ready to work and had no core.
    """

    loop: float
    cores: float
    waiting: float = 0.0

    @property
    def was_the_limit(self) -> bool:
        """Whether more could not have been sent, and latencies hold the generator's own."""
        return self.loop + self.waiting >= _LIMIT

    def __str__(self) -> str:
        text = (
            f"generator: event loop {self.loop:.0%} busy, {self.waiting:.0%} waiting for a core, "
            f"{self.cores:.2f} cores"
        )
        if self.was_the_limit:
            text += (
                "; it was the limit: the rate is the generator's, and latencies hold its own waits"
            )
        return text


class BusyClock:
    """Begins when it is made; to be read in the same thread."""

    def __init__(self) -> None:
        self._wall, self._thread, self._process, self._waited = self._now()

    def read(self) -> Busyness:
        """Since the clock was made."""
        wall, thread, process, waited = self._now()
        passed = max(1e-9, wall - self._wall)
        return Busyness(
            (thread - self._thread) / passed,
            (process - self._process) / passed,
            (waited - self._waited) / passed,
        )

    @staticmethod
    def _now() -> tuple[float, float, float, float]:
        return time.perf_counter(), time.thread_time(), time.process_time(), _waited_s()


def _waited_s() -> float:
    """How long this thread has waited for a core so far; 0 where the kernel does not say."""
    try:
        return int(_SCHEDULED.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
