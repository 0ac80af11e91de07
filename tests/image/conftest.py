"""The real image, built once a test process where that can be done."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from image import tools
from image.build import NAME
from stack.processes import ROOT

_BUILD_S = 900


@pytest.fixture(scope="session")
def image() -> str:
    """The name of the image: built from this checkout, unless KUJI_IMAGE names one that is here."""
    if os.environ.get("CI") and tools.missing():
        _make("image-tools")
    if reason := tools.why_not():
        pytest.skip(reason)
    if named := os.environ.get("KUJI_IMAGE"):
        return named
    lock = ROOT / ".cache" / "image.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # another test process builds the same
        _make("image")
    return NAME


def _make(target: str) -> None:
    command = ["make", "-o", ".venv/.installed", target]
    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=_BUILD_S
    )
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="session")
def image_files(image: str) -> Iterator[Path]:
    """The folder that holds all files of the image, to be read."""
    mounted = subprocess.run(
        ["podman", "image", "mount", image], check=True, capture_output=True, text=True, timeout=60
    )
    yield Path(mounted.stdout.strip())
    subprocess.run(
        ["podman", "image", "unmount", image], check=True, capture_output=True, timeout=60
    )
