"""A whole stack as an operator runs it, for tests: its commands, its addresses, its processes."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from stack.ports import free_port
from stack.processes import Child, Program, stop
from tests.support.folders import throwaway_folder

_TIMEOUT_S = 300  # of a stack that hangs; on a crowded machine one takes minutes to start


class Ended(NamedTuple):
    """How a command ended, and all that it printed."""

    returncode: int | None
    stdout: str


class StackUnderTest:
    """
    One KUJI_HOME and edge port, and the stack that runs there or not.

    Args:
        home: Its folder.
        environment: KUJI_… variables beside those two.
    """

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.edge_port = free_port()
        self.environment = dict(environment or {})

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("KUJI_")}
        own = {"KUJI_HOME": str(self.home), "KUJI_EDGE_PORT": str(self.edge_port)}
        return {**inherited, "COLUMNS": "200", **own, **self.environment}

    def command(self, name: str) -> Ended:
        """What `python -m stack` *name* prints and how it ends."""
        with tempfile.TemporaryDirectory() as folder:
            child = self._child(name, Path(folder, "out"))
            child.finish(_TIMEOUT_S)
            return Ended(child.exit_code(), child.program.log.read_text())

    @contextmanager
    def running(self) -> Iterator[Child]:
        """The stack, healthy, in a process that ends with the block and with this process."""
        child = self._child("run", self.home / "run.log")
        try:
            asyncio.Runner(loop_factory=asyncio.new_event_loop).run(
                child.wait_until_ready(self._is_up, _TIMEOUT_S)
            )
            yield child
        finally:
            stop([child], _TIMEOUT_S)

    @asynccontextmanager
    async def running_beside(self) -> AsyncIterator[Child]:
        """The same, for who runs a loop of events already."""
        child = self._child("run", self.home / "run.log")
        try:
            await child.wait_until_ready(self._is_up, _TIMEOUT_S)
            yield child
        finally:
            stop([child], _TIMEOUT_S)

    def _child(self, name: str, log: Path) -> Child:
        command = [sys.executable, "-m", "stack", name]
        return Child(Program("stack", command, log, self._environment()))

    async def _is_up(self) -> bool:
        return self._endpoints_file.exists()

    @property
    def _endpoints_file(self) -> Path:
        return self.home / "endpoints.json"

    @property
    def endpoints(self) -> dict[str, Any]:
        """The content of endpoints.json."""
        content: dict[str, Any] = json.loads(self._endpoints_file.read_text())
        return content

    @property
    def edge(self) -> str:
        """URL of the edge."""
        return str(self.endpoints["edge"])

    @property
    def grpc(self) -> dict[str, str]:
        """host:port of each service."""
        addresses: dict[str, str] = self.endpoints["grpc"]
        return addresses

    @property
    def redis(self) -> str:
        """URL of the Redis."""
        return str(self.endpoints["redis"])

    @property
    def postgres(self) -> str:
        """DSN of the database."""
        return str(self.endpoints["postgres"])

    @property
    def admin(self) -> dict[str, str]:
        """Username and password of the administrator."""
        credentials: dict[str, str] = self.endpoints["admin"]
        return credentials

    def pids(self) -> dict[str, int]:
        """Process ids by part."""
        pids: dict[str, int] = json.loads((self.home / "pids.json").read_text())
        return pids

    def is_healthy(self) -> bool:
        """Whether the edge says that all is well."""
        try:
            url = f"http://127.0.0.1:{self.edge_port}/healthz"
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def stack_home() -> Iterator[Path]:
    """A fresh KUJI_HOME."""
    with throwaway_folder("kuji-stack-") as folder:
        yield folder


def is_alive(pid: int) -> bool:
    """Whether process *pid* runs; one that is dead but not yet reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
