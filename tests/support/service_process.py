"""A service as a process of its own, told nothing but what the test says."""

import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from stack.processes import Child, Program


class ServiceProcess:
    """
    A process of *service*.

    Args:
        folder: For its log.
        environment: The whole environment.
    """

    def __init__(self, service: str, folder: Path, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", f"services.{service}"]
        self._child = Child(Program(service, command, folder / "log", environment))

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._child.exit_code()

    def said(self) -> list[str]:
        """The lines that it wrote, logs included."""
        return self._child.program.log.read_text().splitlines()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._child.ask_to_stop()

    async def ended(self) -> int:
        """How it ended, once it has."""
        return await self._child.wait()

    def kill(self) -> None:
        """End it at once."""
        self._child.finish(0)


@asynccontextmanager
async def started(service: str, environment: Mapping[str, str]) -> AsyncIterator[ServiceProcess]:
    """One that was started; gone at the end whatever happened."""
    with tempfile.TemporaryDirectory() as folder:
        process = ServiceProcess(service, Path(folder), environment)
        try:
            yield process
        finally:
            process.kill()


async def outcome_of(service: str, environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Exit code of one that cannot start, and what it said."""
    async with started(service, environment) as process:
        return await process.ended(), process.said()
