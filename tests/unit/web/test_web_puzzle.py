"""The browser's solver of puzzles, run in Node: it finds what the Python solver finds."""

import json
import os
import shutil
import subprocess

import pytest
from kuji.puzzle import solve

from stack.processes import ROOT

SOLVER = ROOT / "web" / "puzzle.js"
TICKETS = ["A" * 64, "b-_9" * 16, "".join(chr(65 + place % 26) for place in range(64))]
DIFFICULTIES = [0, 1, 5, 8, 11, 14]
# As a worker has it: messages come in by onmessage, and go out by postMessage.
_WORKER = """
const told = [];
globalThis.WorkerGlobalScope = class {};
globalThis.postMessage = (message) => told.push(message);
const { solve } = await import(process.argv[1]);
for (const asked of JSON.parse(process.argv[2])) globalThis.onmessage({ data: asked });
let refused = "";
try { solve("short", 1); } catch (error) { refused = error.name; }
console.log(JSON.stringify({ told, refused }));
"""


def _node() -> str:
    node = shutil.which("node")
    if node is None and os.environ.get("CI") != "true":
        pytest.skip("Node is not installed")
    assert node is not None
    return node


def test_worker_finds_the_solution_that_python_finds() -> None:
    """Both count up from 0, so their solutions are the same text; what is no ticket is refused."""
    asked = [{"ticket": t, "difficulty": bits} for t in TICKETS for bits in DIFFICULTIES]
    command = [_node(), "--input-type=module", "-e", _WORKER, str(SOLVER), json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "" == done.stderr
    answer = json.loads(done.stdout)
    assert "RangeError" == answer["refused"]
    assert answer["told"] == [
        {"ticket": ticket, "solution": solve(ticket, bits)}
        for ticket in TICKETS
        for bits in DIFFICULTIES
    ]
