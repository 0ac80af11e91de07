"""Simulations in processes of their own: few at a time, each bounded, none outliving its caller."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.admin.simulation.job import Job, Step, step_of
from services.common.errors import OverloadedError, UnavailableError

_MODULE = "services.admin.simulation.worker"
_LINE_BYTES = 1 << 20
_RETRY_MS = 5000


class Runner:
    """
    Plays jobs.

    Args:
        at_once: How many may play; a further one is refused.
        step_timeout_s: Bound of the wait for the next step.
    """

    def __init__(self, at_once: int, step_timeout_s: float = 30.0) -> None:
        self._free = at_once
        self._step_timeout_s = step_timeout_s

    async def steps(self, job: Job) -> AsyncIterator[Step]:
        """
        What the player tells; whoever stops listening ends it.

        Raises:
            OverloadedError: Others play; nothing was begun.
            UnavailableError: The player ended, or fell silent, before it was done.
        """
        if not self._free:
            raise OverloadedError("Others simulate at this moment.", _RETRY_MS)
        self._free -= 1
        try:
            async with _player() as player:
                async for step in self._told(player, job):
                    yield step
        finally:
            self._free += 1

    async def _told(self, player: asyncio.subprocess.Process, job: Job) -> AsyncIterator[Step]:
        assert player.stdin is not None
        assert player.stdout is not None
        player.stdin.write(job.to_line())
        while True:
            try:
                async with asyncio.timeout(self._step_timeout_s):
                    line = await player.stdout.readline()
            except TimeoutError:
                line = b""
            if not line.endswith(b"\n"):
                raise UnavailableError("The simulation ended before it was done.")
            step = step_of(line)
            yield step
            if step.prizes is not None:
                return


@asynccontextmanager
async def _player() -> AsyncIterator[asyncio.subprocess.Process]:
    player = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _MODULE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    try:
        yield player
    finally:
        if player.returncode is None:
            player.kill()
        await player.wait()
