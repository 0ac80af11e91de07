"""The draw service as processes of their own, which a test may kill."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stack.ports import free_port
from stack.processes import Child, Program
from tests.support.draw_service import SEED_KEY
from tests.support.draws import CODE_KEY

_STOP_S = 10


class DrawProcess:
    """
    A draw process.

    Args:
        folder: For its log.
        awaited: What ready() waits for: "" that it is ready, "live" that it answers at all.
        variables: KUJI_… settings.
    """

    def __init__(self, folder: Path, awaited: str = "", **variables: str) -> None:
        self._awaited = awaited
        self.address = f"127.0.0.1:{free_port()}"
        inherited = {name: text for name, text in os.environ.items() if name[:5] != "KUJI_"}
        environment = {
            **inherited,
            "KUJI_LISTEN": self.address,
            "KUJI_STRICT_CONTRACT": "true",
            "KUJI_SEED_KEY": SEED_KEY,
            "KUJI_CODE_KEY": CODE_KEY,
            **variables,
        }
        log = folder / f"draw-{self.address.rpartition(':')[2]}.log"
        command = [sys.executable, "-m", "services.draw"]
        self._child = Child(Program("draw", command, log, environment))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    async def ready(self) -> None:
        """Return once it serves."""
        await self._child.wait_until_ready(self._is_serving)

    async def _is_serving(self) -> bool:
        async with grpc.aio.insecure_channel(self.address) as channel:
            try:
                request = health_pb2.HealthCheckRequest(service=self._awaited)
                answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=1)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self._child.exit_code() is None:
            os.kill(self._child.pid, signal.SIGKILL)
        self._child.finish(_STOP_S)

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._child.ask_to_stop()

    async def exit_code(self) -> int:
        """How it ended, once it has."""
        return await asyncio.wait_for(self._child.wait(), 3 * _STOP_S)


@asynccontextmanager
async def draw_process(
    folder: Path, awaited: str = "", **variables: str
) -> AsyncIterator[DrawProcess]:
    """A draw process that serves, gone at the end whatever happened."""
    process = DrawProcess(folder, awaited, **variables)
    try:
        await process.ready()
        yield process
    finally:
        process.kill()
