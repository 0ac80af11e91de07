"""Simulations in processes of their own: few at a time, each bounded, none outliving its caller."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from services.admin.simulation.job import Job, Step, step_of
from services.common.errors import OverloadedError, UnavailableError

_MODULE = "services.admin.simulation.worker"
_LINE_BYTES = 1 << 20
_RETRY_MS = 5000

Steps = AsyncGenerator[Step, None]


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

    async def steps(self, job: Job) -> Steps:
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
            async with _player() as player, aclosing(self._told(player, job)) as steps:
                async for step in steps:
                    yield step
        finally:
            self._free += 1

    async def _told(self, player: asyncio.subprocess.Process, job: Job) -> Steps:
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
        # It needs none of our settings, and least of all the secrets among them.
        env={name: value for name, value in os.environ.items() if not name.startswith("KUJI_")},
    )
    try:
        yield player
    finally:
        if player.returncode is None:
            player.kill()
        await player.wait()
