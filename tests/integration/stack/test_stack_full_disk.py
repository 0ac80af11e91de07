"""A disk that is full for a while, under a whole stack."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from stack.home import Home
from tests.support.disks import fill, small_disk
from tests.support.stacks import StackUnderTest, is_alive

_DISK_BYTES = 192 << 20
_LOG_BYTES = 1000


@pytest.fixture(name="disk")
def _disk() -> Iterator[Path]:
    """A small disk of its own."""
    with small_disk(_DISK_BYTES) as folder:
        yield folder


def _until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _log_sizes(stack: StackUnderTest) -> list[int]:
    logs = (stack.home / "logs").glob("*.log")
    return [log.stat().st_size for log in logs if not log.name.endswith(".old.log")]


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
    dies again at once, it starts as soon as there is room. Logs are cut all the while.
    """
    environment = {"KUJI_MAX_LOG_BYTES": str(_LOG_BYTES)}
    stack, filler = StackUnderTest(disk / "home", environment), disk / "filler"
    up = stack.command("up")
    assert 0 == up.returncode, up.stdout
    try:
        assert 200 == _register(stack, "before")
        owner, pids = Home(stack.home).owner(), stack.pids()
        fill(filler)
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
        _until(lambda: all(size <= _LOG_BYTES for size in _log_sizes(stack)))
        assert (stack.home / "logs" / "postgres.old.log").exists()
    finally:
        filler.unlink(missing_ok=True)
        stack.command("down")
