"""The stack that a demo plays on: its own, from the first to the last second."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.connections import Endpoints, read_endpoints
from ops.errors import OperatorError
from ops.terminal import out
from stack.home import Home
from stack.ports import free_port

_STOP_TIMEOUT_S = 60.0
_WHICH_PROGRAM = "KUJI_REDIS_SERVER"


@dataclass(slots=True)
class OwnStack:
    """Its folder, where its parts are, and whether that stays for somebody to look at."""

    folder: Path
    endpoints: Endpoints
    is_kept: bool = False

    def kill(self, part: str) -> None:
        """End a process of it as a crash would."""
        pids: dict[str, int] = json.loads(Home(self.folder).pids_file.read_text("utf-8"))
        os.kill(pids[part], signal.SIGKILL)


@contextmanager
def own_stack() -> Iterator[OwnStack]:
    """
    A fresh stack, beside whatever runs here; stopped and removed on leaving.

    Where an error leaves the block, or whoever has it says so, its folder stays.

    Raises:
        OperatorError: It cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix="kuji-demo-"))
    is_kept = True
    try:
        with _running(_environment(folder)):
            stack = OwnStack(folder, read_endpoints(folder))
            yield stack
            is_kept = stack.is_kept
    except KeyboardInterrupt:
        is_kept = False
        raise
    finally:
        if is_kept:
            out.print(f"The demo's data and logs stay in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
            out.print("The demo's stack is stopped, and its data removed")


def _environment(folder: Path) -> dict[str, str]:
    # Nobody's stores, ports or secrets: settings of the stack that runs are not for this one.
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KUJI_") or name == _WHICH_PROGRAM
    }
    return {**others, "KUJI_HOME": str(folder), "KUJI_EDGE_PORT": str(free_port())}


@contextmanager
def _running(environment: Mapping[str, str]) -> Iterator[None]:
    # It says itself, on the terminal, what it does and why it fails.
    try:
        if subprocess.run(_stack("up"), check=False, env=environment).returncode != 0:
            raise OperatorError("The stack did not start")
        yield
    finally:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "timeout": _STOP_TIMEOUT_S}
        subprocess.run(_stack("down"), check=True, env=environment, **quiet)


def _stack(command: str) -> list[str]:
    return [sys.executable, "-m", "stack", command]
