"""The echo server as a process of its own, so that a generator has a core to itself."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stack.processes import ROOT


@contextmanager
def running_echo() -> Iterator[str]:
    """Its address, while it runs."""
    command = [sys.executable, "-m", "tests.support.ghz.echo"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()
