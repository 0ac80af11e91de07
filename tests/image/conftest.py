"""The real image, built once a run of the tests, where that can be done."""

import fcntl
import hashlib
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import pytest

from image import tools
from image.base import ensure_base
from image.tools import ImageError
from stack.processes import ROOT

_BUILD_S = 900
_FIRST_S = 2000
_CACHE = ROOT / ".cache"
_CACHE.mkdir(exist_ok=True)
# Each checkout has its own: another one may be tested at the same time.
_NAME = f"localhost/kuji:test-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]}"
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Packages are fetched, and an image is built, before the first of these begins."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(_FIRST_S))


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The image: built from this checkout, unless KUJI_IMAGE names one that is here."""
    if named := os.environ.get("KUJI_IMAGE"):
        yield named
        return
    with _building():
        if reason := _why_not():
            pytest.skip(reason)
    with (_CACHE / "image.used").open("a+") as use:
        with _building() as built:
            _build_once(built)
            fcntl.flock(use, fcntl.LOCK_SH)
        yield _NAME
        with _building() as built:
            _remove_if_last(use, built)


@contextmanager
def _building() -> Iterator[TextIO]:
    """The file that says which run has built the image, for this process alone."""
    with (_CACHE / "image.built").open("a+") as built:
        fcntl.flock(built, fcntl.LOCK_EX)
        built.seek(0)
        yield built


def _why_not() -> str | None:
    """Why no image can be built here; None where one can. In CI the tools are installed."""
    if os.environ.get("CI") and tools.missing():
        with suppress(AssertionError, subprocess.TimeoutExpired):
            _make("image-tools")
    if reason := tools.why_not():
        return reason
    try:
        ensure_base()
    except ImageError as error:  # nobody has Debian's packages here
        return f"There is nothing to build the image on: {error}"
    return None


def _build_once(built: TextIO) -> None:
    if built.read() != _RUN:
        _make("image", f"IMAGE={_NAME}")
        built.truncate(0)
        built.write(_RUN)


def _remove_if_last(use: TextIO, built: TextIO) -> None:
    with suppress(BlockingIOError):
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        subprocess.run(["podman", "image", "rm", _NAME], check=True, timeout=120)
        built.truncate(0)


def _make(*what: str) -> None:
    command = ["make", "-o", ".venv/.installed", *what]
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
