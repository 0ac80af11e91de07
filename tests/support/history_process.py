"""The history service as a process, behind an edge of the tests, killed and started as they say."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.contract.edge_rig import EDGE_SECRET


class HistoryProcess:
    """
    The service at *address*.

    Args:
        settings: More of them, by the names of HistorySettings.
    """

    def __init__(self, address: str, dsn: str, redis_url: str, **settings: object) -> None:
        told = {
            "listen": address,
            "postgres_dsn": dsn,
            "redis_url": redis_url,
            "auth_address": "127.0.0.1:1",
            "edge_secret": EDGE_SECRET,
            **settings,
        }
        self._environment = {f"KUJI_{name.upper()}": str(value) for name, value in told.items()}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; it is there when the edge says so."""
        command = [sys.executable, "-m", "services.history"]
        environment = {**os.environ, **self._environment}
        self._process = await asyncio.create_subprocess_exec(*command, env=environment)

    async def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def history_process(
    address: str, dsn: str, redis_url: str, **settings: object
) -> AsyncIterator[HistoryProcess]:
    """A process that has been started."""
    process = HistoryProcess(address, dsn, redis_url, **settings)
    await process.start()
    try:
        yield process
    finally:
        await process.kill()
