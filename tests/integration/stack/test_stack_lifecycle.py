"""A whole stack through deaths, stops and starts."""

import asyncio
import os
import re
import signal
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from stack.home import Home
from tests.support.stacks import StackUnderTest, is_alive, stack_home

PARTS = {"valkey", "postgres", "auth", "draw", "admin", "history", "recorder", "envoy"}
ALICE = {"username": "alice", "password": "correct horse"}


@pytest.fixture(scope="module")
def stack() -> Iterator[StackUnderTest]:
    """A running stack that these tests may hurt, where alice is registered."""
    with stack_home() as home:
        stack = StackUnderTest(home)
        up = stack.command("up")
        assert 0 == up.returncode, up.stdout
        try:
            _post(stack, "/api/auth/register", ALICE)
            yield stack
        finally:
            stack.command("down")


def _post(stack: StackUnderTest, path: str, body: dict[str, str]) -> dict[str, Any]:
    response = httpx.post(stack.edge + path, json=body, timeout=20)
    assert 200 == response.status_code, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


def _wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _can_log_in(stack: StackUnderTest) -> bool:
    try:
        response = httpx.post(f"{stack.edge}/api/auth/login", json=ALICE, timeout=5)
    except httpx.HTTPError:
        return False
    return response.status_code == 200


@pytest.mark.parametrize("part", sorted(PARTS))
def test_part_heals_by_itself_when_killed(stack: StackUnderTest, part: str) -> None:
    """After a kill -9 the part is back, the edge healthy, and the data in place."""
    killed = stack.pids()[part]
    os.kill(killed, signal.SIGKILL)
    _wait_until(lambda: stack.pids()[part] != killed)
    _wait_until(stack.is_healthy)
    _wait_until(lambda: _can_log_in(stack))


def test_addresses_are_all_in_endpoints_json(stack: StackUnderTest) -> None:
    """What the file promises is there, for its owner's eyes only."""
    endpoints = stack.endpoints
    assert {"edge", "grpc", "redis", "postgres", "metrics", "admin"} == endpoints.keys()
    assert {"recorder", *endpoints["grpc"]} == endpoints["metrics"].keys()
    assert {"auth", "draw", "admin", "history"} == endpoints["grpc"].keys()
    modes = [
        stat.S_IMODE((stack.home / name).stat().st_mode)
        for name in ("endpoints.json", "secrets.json")
    ]
    assert [0o600, 0o600] == modes
    assert "access_token" in _post(stack, "/admin/api/login", endpoints["admin"])


def test_status_shows_every_part(stack: StackUnderTest) -> None:
    """An operator sees what runs."""
    _wait_until(stack.is_healthy)
    status = stack.command("status")
    shown = set(re.findall(r"(?m)^│ (\w+) ", status.stdout))
    assert (0, PARTS) == (status.returncode, shown)


def test_second_start_is_refused_and_harms_nothing(stack: StackUnderTest) -> None:
    """`up` on a running stack says who runs."""
    second = stack.command("up")
    owner = Home(stack.home).owner()
    assert (1, True) == (second.returncode, f"already (process {owner})" in second.stdout)
    assert stack.is_healthy()


def test_secrets_reach_only_the_parts_that_need_them(stack: StackUnderTest) -> None:
    """The seed key, and the key of the prize codes, are known to the draw process alone."""
    for secret in (b"KUJI_SEED_KEY=", b"KUJI_CODE_KEY="):
        holders = {name for name, pid in stack.pids().items() if secret in _environment_of(pid)}
        assert {"draw"} == holders


def _environment_of(pid: int) -> bytes:
    with open(f"/proc/{pid}/environ", "rb") as environment:  # noqa: PTH123
        return environment.read()


def test_nothing_is_left_when_the_supervisor_is_killed(stack: StackUnderTest) -> None:
    """Even a kill -9 of the supervisor leaves no process, and the next start works."""
    pids, owner = stack.pids(), Home(stack.home).owner()
    assert owner is not None
    os.kill(owner, signal.SIGKILL)
    _wait_until(lambda: not any(map(is_alive, pids.values())))
    up = stack.command("up")
    assert (0, True) == (up.returncode, _can_log_in(stack)), up.stdout


def test_data_and_secrets_stay_when_stopped_and_started(stack: StackUnderTest) -> None:
    """`down` leaves no process; `up` continues where it was, after a power loss too."""
    pids, admin = stack.pids(), stack.admin
    down = stack.command("down")
    assert (0, []) == (down.returncode, [name for name, pid in pids.items() if is_alive(pid)])
    assert not (stack.home / "endpoints.json").exists()
    for log in stack.home.glob("data/valkey/appendonlydir/*.incr.aof"):
        with log.open("ab") as end:
            end.write(bytes(12))
    up = stack.command("up")
    assert "12 bytes of commands that were never answered" in up.stdout
    assert (admin, True) == (stack.admin, _can_log_in(stack))


def test_interrupt_stops_everything() -> None:
    """Ctrl-C of a stack in the foreground is a clean stop, with several draw processes too."""
    with stack_home() as home:
        stack = StackUnderTest(home, {"KUJI_DRAW_PROCESSES": "2"})
        with stack.running() as child:
            pids = stack.pids()
            os.kill(child.pid, signal.SIGINT)
            code = asyncio.Runner(loop_factory=asyncio.new_event_loop).run(child.wait())
    assert (0, PARTS | {"draw-2"}) == (code, set(pids))
    assert [] == [name for name, pid in pids.items() if is_alive(pid)]


def test_given_stores_are_used_and_none_are_started(redis_url: str, postgres_dsn: str) -> None:
    """Where KUJI_REDIS_URL and KUJI_POSTGRES_DSN are set, the stack starts no store."""
    given = {"KUJI_REDIS_URL": redis_url, "KUJI_POSTGRES_DSN": postgres_dsn}
    with stack_home() as home:
        stack = StackUnderTest(home, given)
        with stack.running():
            parts, addresses = set(stack.pids()), (stack.redis, stack.postgres)
            _post(stack, "/api/auth/register", ALICE)
    assert (PARTS - {"valkey", "postgres"}, (redis_url, postgres_dsn)) == (parts, addresses)
