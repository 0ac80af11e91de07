"""What a process says of itself to whoever asks grpc.health.v1: that it lives, that it is ready."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

log = structlog.get_logger()

LIVE = "live"
START = "start"
_Status = health_pb2.HealthCheckResponse
_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_concurrent_streams", 100))


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it has no stubs
    """
    The health of a process, under these names:

    - "live": the process and its event loop work. It hangs on no neighbour: whoever restarts what
      does not live would only lose by it.
    - "" and the names of the services: the process is ready. It is while it lacks nothing.
    """

    def __init__(self) -> None:
        self._lacks: set[str] = {START}
        self._ready_names: set[str] = {""}
        self._changed = asyncio.Event()
        self._is_closed = False

    @property
    def is_ready(self) -> bool:
        """Whether the process takes calls."""
        return not self._lacks

    def serve_under(self, names: Iterable[str]) -> None:
        """Say under *names*, too, whether the process is ready."""
        self._ready_names.update(names)
        self._tell()

    def lack(self, what: str, why: str = "") -> None:
        """Be not ready until *what* is there."""
        if self.is_ready:
            log.warning("not ready", lacks=what, why=why)
        self._lacks.add(what)
        self._tell()

    def have(self, what: str) -> None:
        """*what* is there: be ready, if nothing else is lacking."""
        if what in self._lacks:
            self._lacks.remove(what)
            self._tell()
            if self.is_ready:
                log.info("ready", has=what)

    def close(self) -> None:
        """End the streams of those that watch, once they know the newest."""
        self._is_closed = True
        self._tell()

    async def Check(  # noqa: N802  # the name is the proto's
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """The status of a name; NOT_FOUND where nobody has it."""
        status = self._status_of(request.service)
        if status == _Status.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service here.")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The status of a name, and again whenever it changes, until the process ends."""
        told = None
        while True:
            changed = self._changed
            status = self._status_of(request.service)
            if status != told:
                yield health_pb2.HealthCheckResponse(status=status)
                told = status
            elif self._is_closed:
                return
            else:
                await changed.wait()

    def _status_of(self, name: str) -> int:
        if name == LIVE:
            return int(_Status.SERVING)
        if name not in self._ready_names:
            return int(_Status.SERVICE_UNKNOWN)
        return int(_Status.SERVING if self.is_ready else _Status.NOT_SERVING)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@asynccontextmanager
async def telling_health(listen: str) -> AsyncIterator[Health]:
    """
    A process's health, told on *listen* (host:port) from its first moment to its last.

    Args:
        listen: A server for nothing else, in the clear: probes cannot do more. Empty: none.

    Raises:
        RuntimeError: The address is taken.
    """
    health = Health()
    server = grpc.aio.server(options=_OPTIONS)
    if listen:
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        server.add_insecure_port(listen)
        await server.start()
    try:
        yield health
    finally:
        health.close()
        await server.stop(None)
