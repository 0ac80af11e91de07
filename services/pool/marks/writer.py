"""Writes the marks of this process into its file, and says when they are there."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog
from prometheus_client import Gauge

from services.common.errors import UnavailableError
from services.pool.marks.files import MarkFile
from services.pool.marks.mark import Mark

log = structlog.get_logger()
UNWRITTEN = Gauge("kuji_draw_marks_unwritten", "1: marks cannot be written to their file")
_PAUSE_S = 0.5
_CLOSE_S = 3.0


@dataclass(slots=True)
class _Round:
    """Marks that are written at once, by pool id."""

    done: asyncio.Future[None]
    marks: dict[int, Mark] = field(default_factory=dict)

    def fail(self) -> None:
        self.done.set_exception(UnavailableError())
        self.done.exception()  # seen: there may be nobody who waits


class MarkWriter:
    """
    One write at a time, of all that came while the one before was under way.

    What a disk does not take is not answered: its outcome is unknown, and a repeated request is
    answered once the disk is well.
    """

    def __init__(self, file: MarkFile) -> None:
        self._file = file
        # A thread of its own: others may be busy for long.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="marks")
        self._next: _Round | None = None
        self._now: _Round | None = None
        self._task: asyncio.Task[None] | None = None

    def add(self, pool_id: int, mark: Mark) -> None:
        """Write *mark* soon."""
        self._next_round().marks[pool_id] = mark
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_all())

    def written(self, pool_id: int) -> asyncio.Future[None] | None:
        """Done when what was added of a pool is on the disk; None: it is."""
        for round_ in (self._next, self._now):
            if round_ is not None and pool_id in round_.marks:
                return round_.done
        return None

    async def close(self) -> None:
        """Write what was added, and close the file."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_CLOSE_S)
            self._task.cancel()
        self._thread.shutdown(wait=False)
        self._file.close()

    def _next_round(self) -> _Round:
        if self._next is None:
            self._next = _Round(asyncio.get_running_loop().create_future())
        return self._next

    async def _write_all(self) -> None:
        while self._next is not None:
            self._now, self._next = self._next, None
            await self._write(self._now)
            self._now = None
        # Nothing awaits between the last look and here: no mark can slip in between.
        self._task = None

    async def _write(self, round_: _Round) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._file.write, round_.marks)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next round is written
            log.error("marks cannot be written", error=repr(error))
            UNWRITTEN.set(1)
            again = self._next_round()
            again.marks = round_.marks | again.marks  # of a pool, the newer
            round_.fail()
            await asyncio.sleep(_PAUSE_S)
        else:
            UNWRITTEN.set(0)
            round_.done.set_result(None)
