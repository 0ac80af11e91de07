"""How busy the generator was: whether it, and not the server, was the limit."""

import time
from dataclasses import dataclass

_LIMIT = 0.9  # of the thread's time; what is left is a fair wait for answers


@dataclass(frozen=True)
class Busyness:
    """
    What a run cost.

    Attributes:
        loop: Share of the wall time that the event loop's thread was at work, 0 … 1.
        cores: CPU of the whole process by wall time.
    """

    loop: float
    cores: float

    @property
    def was_the_limit(self) -> bool:
        """Whether more could not have been sent, and latencies hold the generator's own."""
        return self.loop >= _LIMIT

    def __str__(self) -> str:
        text = f"generator: event loop {self.loop:.0%} busy, {self.cores:.2f} cores"
        if self.was_the_limit:
            text += (
                "; it was the limit: the rate is the generator's, and latencies hold its own waits"
            )
        return text


class BusyClock:
    """Begins when it is made; to be read in the same thread."""

    def __init__(self) -> None:
        self._wall, self._thread, self._process = self._now()

    def read(self) -> Busyness:
        """Since the clock was made."""
        wall, thread, process = self._now()
        passed = max(1e-9, wall - self._wall)
        return Busyness((thread - self._thread) / passed, (process - self._process) / passed)

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.perf_counter(), time.thread_time(), time.process_time()
