"""A whole stack through deaths, stops and starts."""

import os
import re
import signal
import stat
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stack.home import Home
from tests.support.stacks import StackUnderTest, is_alive

PARTS = {"valkey", "postgres", "auth", "draw", "admin", "history", "recorder", "envoy"}
ALICE = {"username": "alice", "password": "correct horse"}


@pytest.fixture(name="stack", scope="module")
def _stack(stack: StackUnderTest) -> StackUnderTest:
    """The stack of this folder, where alice is registered."""
    # Its stores were killed just now, and those who use them take seconds before they say so.
    _wait_until(lambda: _can("register", stack) or _can("login", stack))
    return stack


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


def _can(what: str, stack: StackUnderTest) -> bool:
    try:
        response = httpx.post(f"{stack.edge}/api/auth/{what}", json=ALICE, timeout=5)
    except httpx.HTTPError:
        return False
    return response.status_code == 200


def _can_log_in(stack: StackUnderTest) -> bool:
    return _can("login", stack)


@pytest.mark.parametrize("part", sorted(PARTS))
def test_part_heals_by_itself_when_killed(stack: StackUnderTest, part: str) -> None:
    """After a kill -9 the part is back, the edge healthy, and the data in place."""
    killed = stack.pids()[part]
    os.kill(killed, signal.SIGKILL)
    _wait_until(lambda: stack.pids()[part] != killed)
    _wait_until(stack.is_healthy)
    _wait_until(lambda: _can_log_in(stack))


def test_auth_comes_back_when_postgres_was_away(stack: StackUnderTest) -> None:
    """It waits for Postgres, however often it is killed; nothing else is touched."""
    _wait_until(stack.is_healthy)
    before = stack.pids()
    os.kill(before["postgres"], signal.SIGSTOP)
    try:
        for _ in range(3):
            killed = stack.pids()["auth"]
            os.kill(killed, signal.SIGKILL)
            _wait_until(lambda killed=killed: stack.pids()["auth"] != killed)  # type: ignore[misc]
    finally:
        os.kill(before["postgres"], signal.SIGCONT)
    _wait_until(lambda: _can_log_in(stack))
    assert before | {"auth": stack.pids()["auth"]} == stack.pids()


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


def test_status_asks_the_stack_of_its_folder(stack: StackUnderTest) -> None:
    """Whatever KUJI_EDGE_PORT says now: the stack is where it was started."""
    elsewhere = StackUnderTest(stack.home)
    status = elsewhere.command("status")
    assert (0, True) == (status.returncode, stack.edge in status.stdout)


@pytest.mark.parametrize("part", ["postgres", "valkey", "history"])
def test_status_sees_a_frozen_part(stack: StackUnderTest, part: str) -> None:
    """A process that is there and does nothing is not healthy; nobody waits for it."""
    _wait_until(stack.is_healthy)
    frozen = stack.pids()[part]
    os.kill(frozen, signal.SIGSTOP)
    try:
        status = stack.command("status")
    finally:
        os.kill(frozen, signal.SIGCONT)
    row = next(line for line in status.stdout.splitlines() if f" {part} " in line)
    assert (1, True) == (status.returncode, "frozen" in row)


def test_second_start_says_that_it_runs_and_where(stack: StackUnderTest) -> None:
    """`up` on a running stack is content, and changes nothing."""
    owner = Home(stack.home).owner()
    second = stack.command("up")
    sentence = f"✓ Kuji runs already in {stack.home}: {stack.edge}\n"
    assert (0, sentence, owner) == (second.returncode, second.stdout, Home(stack.home).owner())


def test_log_of_the_stack_has_plain_lines_with_times(stack: StackUnderTest) -> None:
    """It can be read by people and programs, though the stack was started on a terminal."""
    lines = (stack.home / "logs" / "stack.log").read_text().splitlines()
    assert "✓ Kuji runs: " in lines[0]
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [^\x1b]+")
    assert [] == [line for line in lines if not stamp.fullmatch(line)]


def test_secrets_reach_only_the_parts_that_need_them(stack: StackUnderTest) -> None:
    """The seed key, and the key of the prize codes, are known to the draw process alone."""
    for secret in (b"KUJI_SEED_KEY=", b"KUJI_CODE_KEY="):
        holders = {name for name, pid in stack.pids().items() if secret in _environment_of(pid)}
        assert {"draw"} == holders


def _environment_of(pid: int) -> bytes:
    with open(f"/proc/{pid}/environ", "rb") as environment:  # noqa: PTH123
        return environment.read()


def test_data_and_secrets_stay_when_all_is_killed(stack: StackUnderTest) -> None:
    """
    Even a kill -9 of the supervisor leaves no process; `up` continues where it was, after a power
    loss too, under the same addresses.
    """
    pids, owner, endpoints = stack.pids(), Home(stack.home).owner(), stack.endpoints
    assert owner is not None
    os.kill(owner, signal.SIGKILL)
    _wait_until(lambda: not any(map(is_alive, pids.values())))
    for log in stack.home.glob("data/valkey/appendonlydir/*.incr.aof"):
        with log.open("ab") as end:
            end.write(bytes(12))
    up = stack.command("up")
    assert "12 bytes of commands that were never answered" in up.stdout
    assert (0, endpoints, True) == (up.returncode, stack.endpoints, _can_log_in(stack))


def test_down_leaves_no_process(stack: StackUnderTest) -> None:
    """Nor addresses at which nobody answers."""
    pids = stack.pids()
    down = stack.command("down")
    assert (0, []) == (down.returncode, [name for name, pid in pids.items() if is_alive(pid)])
    assert not (stack.home / "endpoints.json").exists()
