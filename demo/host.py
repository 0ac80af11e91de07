"""The stack that a demo plays on: the one that runs, or one of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.connections import Endpoints, read_endpoints
from ops.errors import OperatorError
from stack.home import Home
from stack.processes import StackError

_STOP_TIMEOUT_S = 60.0


@contextmanager
def running_stack(home: Path) -> Iterator[Endpoints]:
    """
    The endpoints of the stack in *home*; where none runs, it is started, and stopped on leaving.

    Raises:
        OperatorError: It cannot be started, or starts at this very moment.
    """
    if _is_running(home):
        yield read_endpoints(home)
        return
    # It says itself, on the terminal, what it does and why it fails.
    if subprocess.run(_stack("up"), check=False).returncode != 0:
        raise OperatorError("The stack did not start")
    try:
        yield read_endpoints(home)
    finally:
        subprocess.run(_stack("down"), check=True, timeout=_STOP_TIMEOUT_S)


def _is_running(home: Path) -> bool:
    try:
        return Home(home).owner() is not None
    except StackError as error:
        raise OperatorError(str(error)) from error


def _stack(command: str) -> list[str]:
    return [sys.executable, "-m", "stack", command]
