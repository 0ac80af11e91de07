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

from ops.connections import Endpoints, read_endpoints
from ops.errors import OperatorError
from ops.terminal import out, progress
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
def own_stack(whose: str = "demo") -> Iterator[OwnStack]:
    """
    A fresh stack, beside whatever runs here; stopped and removed on leaving.

    Args:
        whose: Who plays on it.

    Where an error leaves the block, or whoever has it says so, its folder stays.

    Raises:
        OperatorError: It cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"kuji-{whose}-"))
    is_kept = True
    try:
        with _running(_environment(folder), whose):
            stack = OwnStack(folder, read_endpoints(folder))
            yield stack
            is_kept = stack.is_kept
    except KeyboardInterrupt:
        is_kept = False
        raise
    finally:
        if is_kept:
            out.print(f"The {whose}'s data and logs stay in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
            out.print(f"The {whose}'s stack is stopped, and its data removed")


def _environment(folder: Path) -> dict[str, str]:
    # Nobody's stores, ports or secrets: settings of the stack that runs are not for this one.
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KUJI_") or name == _WHICH_PROGRAM
    }
    return {**others, "KUJI_HOME": str(folder), "KUJI_EDGE_PORT": str(free_port())}


@contextmanager
def _running(environment: Mapping[str, str], whose: str) -> Iterator[None]:
    try:
        with progress() as bars:
            bars.add_task("starting", total=None, note=f"a stack of the {whose}'s own")
            started = _stack("up", environment)
        if started.returncode != 0:
            # How to log in, and how to stop it, is nobody's concern; why it fails is.
            out.print(started.stdout.strip(), markup=False, highlight=False, soft_wrap=True)
            raise OperatorError("The stack did not start")
        yield
    finally:
        _stack("down", environment, _STOP_TIMEOUT_S).check_returncode()


def _stack(
    command: str, environment: Mapping[str, str], timeout_s: float | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "stack", command],
        check=False,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout_s,
    )
