"""A TypeScript client made of envoy/openapi.json compiles."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stack.processes import ROOT

SOURCES = Path(__file__).with_name("typescript")
TOOLS = ROOT / ".cache" / "typescript"


def _problem() -> str | None:
    """Why no client can be compiled here; None where one can."""
    if shutil.which("npm") is None:
        return "Node is not installed"
    lock, installed = SOURCES / "package-lock.json", TOOLS / "package-lock.json"
    if (TOOLS / "node_modules").is_dir() and installed.read_bytes() == lock.read_bytes():
        return None
    install = ["make", "-s", "-C", str(ROOT), "openapi-tools"]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=240)
    return f"`make openapi-tools` fails: {done.stderr[-500:]}" if done.returncode else None


@pytest.fixture(scope="module")
def tools() -> Path:
    """The programs of TypeScript; skipped where they cannot be had, unless in CI."""
    problem = _problem()
    if problem and os.environ.get("CI") != "true":
        pytest.skip(problem)
    assert problem is None
    return TOOLS / "node_modules" / ".bin"


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_client_of_the_document_compiles(tools: Path, tmp_path: Path) -> None:
    """Types are generated; what a client takes for granted compiles, what is forbidden does not."""
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(SOURCES / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")
    document = ROOT / "envoy" / "openapi.json"
    _run(tools / "openapi-typescript", document, "-o", tmp_path / "kuji.d.ts")
    _run(tools / "tsc", "-p", tmp_path)
