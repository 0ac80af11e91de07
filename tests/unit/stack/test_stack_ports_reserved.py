"""Ports that one stack has chosen, and another one does not take."""

import os
import signal
import subprocess
import sys

from stack.ports import Ports, free_port, reserve
from stack.processes import ROOT

_HOLD = """
import sys
from stack.ports import reserve
print(reserve(int(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def test_port_is_of_the_process_that_chose_it_as_long_as_it_lives() -> None:
    """Nothing listens there yet, and nobody else is given it; kill -9 gives it back."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(port + 20_000)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert "True\n" == other.stdout.readline()
        assert not reserve(port + 20_000)
        kept = {"draw": port + 20_000}  # from its last start, when nobody else had it
        assert port + 20_000 != Ports({}, kept).of("draw")
        os.kill(other.pid, signal.SIGKILL)
        other.wait(10)
    assert reserve(port + 20_000)
