"""The changes that no operator asks for: made in the background, as they fall due."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from services.admin.audit import KUJI
from services.common.context import RequestContext
from services.common.failures import to_kuji_error
from services.common.outages import is_outage
from services.common.tasks import Trouble

log = structlog.get_logger()

_PATIENCE_S = 10.0  # for one change
_OUTAGES_TO_STOP = 3  # in a look: then a part is away, not a pool


class Chore(Protocol):
    """A change that falls due by itself."""

    async def due(self) -> list[int]:
        """What needs it: ids of pools, or of goods."""

    async def do(self, ctx: RequestContext, due_id: int) -> None:
        """Make it there, if it is still due."""


class Finisher:
    """
    Looks from time to time for chores that are due.

    Any number of processes may do so: each change passes the pool's lock and looks again.

    Args:
        every_s: Pause between two looks.
    """

    def __init__(self, chores: Sequence[Chore], every_s: float) -> None:
        self._chores = chores
        self._every_s = every_s
        self._stopping = asyncio.Event()
        self._troubles = [Trouble(type(chore).__name__) for chore in chores]

    def stop(self) -> None:
        """Let run() return after the change that it is at."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until stopped; what fails is tried again at the next look."""
        while not self._stopping.is_set():
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._stopping.wait()

    async def look(self) -> None:
        """Make all the changes that are due."""
        for chore, trouble in zip(self._chores, self._troubles, strict=True):
            await trouble.survived(self._look_at(chore))

    async def _look_at(self, chore: Chore) -> None:
        outages: list[Exception] = []
        for due_id in await chore.due():
            if self._stopping.is_set():
                return
            outages.extend(await self._do(chore, due_id))
            if len(outages) == _OUTAGES_TO_STOP:
                break
        if outages:
            raise ExceptionGroup("postponed to the next look", outages)

    async def _do(self, chore: Chore, due_id: int) -> Sequence[Exception]:
        """Do *chore* once; the outage that prevents it, if one does."""
        try:
            await chore.do(RequestContext(KUJI, _PATIENCE_S), due_id)
        except Exception as error:  # noqa: BLE001  # it must not hold up the others
            if is_outage(error):
                return [error]
            work = f"{type(chore).__name__} of {due_id}"
            failure = to_kuji_error(error, work)
            log.warning("postponed to the next look", work=work, why=failure.message)
        return []
