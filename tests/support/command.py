"""The `kuji` command as a process of its own."""

import asyncio
import os
import sys
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
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ops.cli",
        *map(str, arguments),
        cwd=ROOT,
        env={**others, "KUJI_HOME": "/nonexistent", "COLUMNS": "200", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ran(process.returncode, out.decode(), err.decode())
