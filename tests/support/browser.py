"""Journeys through the pages in Debian's Chromium: web/tests/e2e, run by Node."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stack.processes import ROOT

WEB = ROOT / "web"
_TIMEOUT_S = 280  # under the bound of a test


def missing_tools() -> str:
    """Why no journey can be made here; empty where one can."""
    needed = [Path("/usr/bin/chromium"), WEB / "node_modules" / "playwright-core"]
    is_there = shutil.which("node") and all(tool.exists() for tool in needed)
    return "" if is_there else "Node, Chromium or the pages' packages are not here: make web-tools"


def journey(
    name: str, asked: Mapping[str, object], timeout_s: float = _TIMEOUT_S
) -> dict[str, Any]:
    """
    What web/tests/e2e/*name*.mjs found, which is told *asked*; where tools are missing, the test
    is skipped, but in CI.
    """
    reason = missing_tools()
    if reason and os.environ.get("CI") != "true":
        pytest.skip(reason)
    done = subprocess.run(
        ["node", f"tests/e2e/{name}.mjs", json.dumps(asked)],
        cwd=WEB,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert 0 == done.returncode, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
