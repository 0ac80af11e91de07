"""The generator's process, as the measurements see it."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stack.processes import ROOT
from tests.bench.jobs import Job, Tally, tally_of

_STOP_TIMEOUT_S = 5.0


class Generator:
    """Does one job at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def do(self, job: Job) -> Tally:
        """
        What became of *job*.

        Raises:
            RuntimeError: The generator ended; its complaint is on stderr.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{job.to_json()}\n".encode())
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the generator ended on {job}")
        return tally_of(line.decode())


@asynccontextmanager
async def open_generator() -> AsyncIterator[Generator]:
    """A generator; its process ends with the context, or with this process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.generator", stdin=PIPE, stdout=PIPE, cwd=ROOT
    )
    try:
        yield Generator(process)
    finally:
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
