"""Node's tools for web/, run from a test."""

import os
import shutil
import subprocess

import pytest

from stack.processes import ROOT

WEB = ROOT / "web"
_IN_CI = os.environ.get("CI") == "true"


def run_tool(*command: str, **environment: str) -> str:
    """What a tool of web/ says; where tools are missing, a reason for being skipped, but in CI."""
    node = shutil.which("node")
    lock, installed = WEB / "package-lock.json", WEB / "node_modules" / ".installed"
    is_there = installed.exists() and installed.read_bytes() == lock.read_bytes()
    if not _IN_CI and (node is None or not is_there):
        pytest.skip("Node or its packages for the pages are not here: make web-tools")
    done = subprocess.run(
        [str(node), f"node_modules/{command[0]}", *command[1:]],
        cwd=WEB,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert 0 == done.returncode, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
