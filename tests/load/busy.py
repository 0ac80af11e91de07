"""How busy the generator was: where it was the limit, the figures are its own, not Kuji's."""

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import gevent

# Of one core, over a window: beyond it answers wait for the generator.
LIMIT = 0.9
_WINDOW_S = 2.0


class Busy(NamedTuple):
    """A process of the generator, in shares of a core: on the whole, and in its worst window."""

    pid: int
    mean: float
    worst: float


class BusyWatch:
    """Watches this process, once it is started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shares: list[float] = []

    def start(self) -> None:
        """Begin; what was used before does not count."""
        gevent.spawn(self._watch)

    def _watch(self) -> None:
        used, at = time.process_time(), time.perf_counter()
        while True:
            gevent.sleep(_WINDOW_S)
            now_used, now = time.process_time(), time.perf_counter()
            self._shares.append((now_used - used) / (now - at))
            used, at = now_used, now

    def write(self) -> None:
        """Leave what was seen in the folder."""
        if self._shares:
            mean = sum(self._shares) / len(self._shares)
            file = self._folder / f"busy-{os.getpid()}.json"
            file.write_text(json.dumps(Busy(os.getpid(), mean, max(self._shares))), "utf-8")


def read_busy(folder: Path) -> list[Busy]:
    """What the processes left, the busiest first."""
    found = [Busy(*json.loads(file.read_text("utf-8"))) for file in folder.glob("busy-*.json")]
    return sorted(found, key=lambda busy: -busy.mean)


def was_the_limit(processes: Sequence[Busy]) -> bool:
    """Whether a process of the generator had no time left, most of the time."""
    return any(process.mean > LIMIT for process in processes)


def told(processes: Iterable[Busy]) -> str:
    """In words."""
    shares = ", ".join(
        f"{100 * one.mean:.0f} % (at worst {100 * one.worst:.0f} %)" for one in processes
    )
    return f"the generator used {shares} of a core" if shares else "nobody saw how busy it was"
