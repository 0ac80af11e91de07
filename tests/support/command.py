"""The `kuji` command as a process of its own."""

import asyncio
import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stack.processes import ROOT

_TIMEOUT_S = 120


class Ran(NamedTuple):
    """How a command ended."""

    code: int | None
    out: str
    err: str


async def run_kuji(*arguments: str | Path, **environment: str) -> Ran:
    """Run `kuji` with *environment* as its only settings."""
    others = {name: value for name, value in os.environ.items() if "KUJI_" not in name}
    told = {**others, "KUJI_HOME": "/nonexistent", "COLUMNS": "200", **environment}
    return await asyncio.to_thread(_run, [str(one) for one in arguments], told)


def _run(arguments: list[str], environment: Mapping[str, str]) -> Ran:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        told, telling = os.pipe()
        request = json.dumps({"arguments": arguments, "environment": environment}).encode()
        socket.send_fds(_forker(), [request], [out.fileno(), err.fileno(), telling])
        os.close(telling)
        with os.fdopen(told, "rb", buffering=0) as progress:
            code = _exit_code(progress.fileno())
        out.seek(0)
        err.seek(0)
        return Ran(code, out.read().decode(), err.read().decode())


def _exit_code(told: int) -> int:
    """Of the command whose process id and whose end are told there; bounded."""
    said = b""
    while said.count(b"\n") < 2:
        if not select.select([told], [], [], _TIMEOUT_S)[0]:
            os.kill(int(said.split()[0]), signal.SIGKILL)
            raise TimeoutError(f"kuji did not end within {_TIMEOUT_S} s")
        some = os.read(told, 64)
        assert some, "the command was not started"
        said += some
    return int(said.split()[1])


@functools.cache
def _forker() -> socket.socket:
    """Where requests of warm_kuji.py go; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        descriptor = str(theirs.fileno())
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_kuji", descriptor],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
