"""The changes that no operator asks for: made in the background, as they fall due."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from services.admin.audit import KUJI
from services.admin.editor import Edit, Editor
from services.common.context import RequestContext
from services.common.server import to_kuji_error

log = structlog.get_logger()

_PATIENCE_S = 10.0  # for one pool


class Chore(Protocol):
    """A change that falls due by itself."""

    async def due(self) -> list[int]:
        """The pools that need it."""

    async def do(self, edit: Edit) -> None:
        """Make it in one pool, if it is still due there."""


class Finisher:
    """
    Looks from time to time for chores that are due.

    Any number of processes may do so: each change passes the pool's lock and looks again.

    Args:
        every_s: Pause between two looks.
    """

    def __init__(self, editor: Editor, chores: Sequence[Chore], every_s: float) -> None:
        self._editor = editor
        self._chores = chores
        self._every_s = every_s
        self._stopping = asyncio.Event()

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
        for chore in self._chores:
            await _logged(type(chore).__name__, self._look_at(chore))

    async def _look_at(self, chore: Chore) -> None:
        for pool_id in await chore.due():
            if self._stopping.is_set():
                return
            ctx = RequestContext(KUJI, _PATIENCE_S)
            # One that cannot be changed now must not hold up the others.
            await _logged(f"pool {pool_id}", self._editor.edit(ctx, pool_id, chore.do))


async def _logged(what: str, work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001  # the boundary: the next look comes all the same
        failure = to_kuji_error(error, f"Finisher {what}")
        log.warning("postponed to the next look", what=what, why=failure.message)
