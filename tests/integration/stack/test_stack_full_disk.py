"""A disk that is full for a while, under a whole stack."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from stack.home import Home
from tests.support.stacks import StackUnderTest, is_alive

_DISK_BYTES = 192 << 20


@pytest.fixture(name="disk")
def _disk() -> Iterator[Path]:
    """A small disk of its own."""
    with tempfile.TemporaryDirectory(prefix="kuji-disk-") as name:
        options = ["-t", "tmpfs", "-o", f"size={_DISK_BYTES},mode=700", "kuji-test", name]
        mounted = subprocess.run(["mount", *options], check=False, capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def _until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                pass


def _register(stack: StackUnderTest, name: str) -> int:
    body = {"username": name, "password": "correct horse"}
    try:
        answer = httpx.post(f"{stack.edge}/api/auth/register", json=body, timeout=10)
    except httpx.HTTPError:
        return 0
    return answer.status_code


def test_all_is_well_by_itself_when_there_is_room_again(disk: Path) -> None:
    """
    All parts die while the disk is full; the supervisor lives, and what cannot be started again, or
    dies again at once, it starts as soon as there is room.
    """
    stack, filler = StackUnderTest(disk / "home"), disk / "filler"
    up = stack.command("up")
    assert 0 == up.returncode, up.stdout
    try:
        assert 200 == _register(stack, "before")
        owner, pids = Home(stack.home).owner(), stack.pids()
        _fill(filler)
        for pid in filter(is_alive, pids.values()):
            os.kill(pid, signal.SIGKILL)
        _until(lambda: not any(map(is_alive, pids.values())))
        assert 1 == stack.command("status").returncode
        assert owner == Home(stack.home).owner()
        filler.unlink()
        _until(stack.is_healthy)
        _until(lambda: _register(stack, "after") in (200, 409))
        _until(lambda: stack.command("status").returncode == 0)
        assert owner == Home(stack.home).owner()
        assert pids.keys() == stack.pids().keys()
        assert not set(pids.values()) & set(stack.pids().values())
    finally:
        filler.unlink(missing_ok=True)
        stack.command("down")
