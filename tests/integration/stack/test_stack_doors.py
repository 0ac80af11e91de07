"""What other users of the machine get of a running stack: nothing."""

import json
import os
import re
import signal
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import redis.asyncio
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from services.common.grants import SERVICES, role_of
from stack.credentials import Passwords
from stack.home import STORES_SECRET
from stack.parts import USERS_OF_REDIS, port_of
from stack.probes import http_get_from_socket
from stack.processes import ROOT
from tests.support.stacks import StackUnderTest


def _secrets(stack: StackUnderTest) -> dict[str, str]:
    secrets: dict[str, str] = json.loads((stack.home / "secrets.json").read_text())
    return secrets


def _password(stack: StackUnderTest, store: str, user: str) -> str:
    return Passwords(_secrets(stack)[STORES_SECRET]).of(store, user)


def _postgres(stack: StackUnderTest, user: str, password: str | None) -> Any:
    return asyncpg.connect(
        host="127.0.0.1",
        port=port_of(stack.postgres),
        user=user,
        password=password,
        database="kuji",
        passfile="/nowhere",
    )


@pytest.mark.parametrize("password", [None, "", "postgres"])
@pytest.mark.parametrize("role", ["postgres", "kuji", *map(role_of, SERVICES)])
async def test_postgres_refuses_those_without_the_password(
    stack: StackUnderTest, role: str, password: str | None
) -> None:
    """The superuser has none, so nobody comes in as him by the network."""
    with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InterfaceError)):
        await _postgres(stack, role, password)


async def test_nobody_who_comes_in_is_a_superuser(stack: StackUnderTest) -> None:
    """Neither the operator nor a service runs programs or reads files by way of Postgres."""
    operator = await asyncpg.connect(stack.postgres)
    service = await _postgres(stack, "kuji_draw", _password(stack, "postgres", "kuji_draw"))
    try:
        for connection in (operator, service):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("SELECT pg_read_file('/etc/hostname')")
    finally:
        await operator.close()
        await service.close()


async def test_each_service_comes_in_as_itself(stack: StackUnderTest) -> None:
    """Its sessions are its own role's."""
    async with httpx.AsyncClient(base_url=stack.edge) as http:
        await http.get("/api/lottery/activities")
        await http.get("/admin/api/activities")
    connection = await asyncpg.connect(stack.postgres)
    try:
        rows = await connection.fetch(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE backend_type = 'client backend'"
        )
    finally:
        await connection.close()
    names = {row["usename"] for row in rows}
    assert {"kuji", *map(role_of, SERVICES)} >= names >= {"kuji_auth", "kuji_draw", "kuji_recorder"}


def test_postgres_has_no_right_to_read_everything(stack: StackUnderTest) -> None:
    """No capability, none to be had, wherever the stack's folders lie and whoever started it."""
    status = Path(f"/proc/{stack.pids()['postgres']}/status").read_text()
    rights = dict(re.findall(r"(?m)^(Cap\w+|NoNewPrivs):\s+(\w+)$", status))
    kinds = ("CapInh", "CapPrm", "CapEff", "CapAmb")
    assert [0] * 4 == [int(rights[kind], 16) for kind in kinds]
    assert "1" == rights["NoNewPrivs"]


async def test_valkey_refuses_those_without_the_password(stack: StackUnderTest) -> None:
    """There is no user without one."""
    place = stack.redis.rpartition("@")[2]
    for user in ("", "default:x@", "operator:x@", "draw:x@"):
        async with redis.asyncio.Redis.from_url(f"redis://{user}{place}") as client:
            with pytest.raises((AuthenticationError, ResponseError)):
                await client.get("x")


REFUSED_COMMANDS = [
    ("draw", ("FLUSHALL",)),
    ("draw", ("CONFIG", "GET", "dir")),
    ("draw", ("ACL", "LIST")),
    ("draw", ("SET", "other", "1")),
    ("draw", ("KEYS", "*")),
    ("history", ("SET", "{p:1}:recorded", "1")),
    ("history", ("PUBLISH", "kuji:feed", "1")),
    ("history", ("EVAL", "return 1", "0")),
    ("recorder", ("HSET", "{p:1}:stock", "1", "1")),
    ("recorder", ("DEL", "{p:1}:ledger")),
]


@pytest.mark.parametrize(("user", "command"), REFUSED_COMMANDS)
async def test_valkey_lets_a_service_do_its_own_alone(
    stack: StackUnderTest, user: str, command: tuple[str, ...]
) -> None:
    """Only its commands, on its keys."""
    place = stack.redis.rpartition("@")[2]
    url = f"redis://{user}:{_password(stack, 'valkey', user)}@{place}"
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await client.ping()
        with pytest.raises(NoPermissionError):
            await client.execute_command(*command)  # type: ignore[no-untyped-call]


async def test_valkey_lets_the_draw_service_do_all_that_its_scripts_do(
    stack: StackUnderTest,
) -> None:
    """A command that a script uses, and stack/valkey.acl does not give, is found here."""
    scripts = "".join(file.read_text() for file in (ROOT / "services").rglob("*.lua"))
    commands = sorted({*re.findall(r"redis\.call\(['\"](\w+)", scripts), "WAIT", "WAITAOF"})
    assert len(commands) > 8
    async with redis.asyncio.Redis.from_url(stack.redis) as client:
        known: dict[str, Any] = await client.command()
        refused = []
        for command in commands:
            words = ["{p:1}:x"] * (abs(known[command.lower()]["arity"]) - 1)
            if await client.acl_dryrun("draw", command, *words) != b"OK":
                refused.append(command)
    assert [] == refused


def test_files_are_nobody_elses(stack: StackUnderTest) -> None:
    """Whatever the umask, other users can neither read nor enter."""
    paths = [stack.home, *stack.home.rglob("*")]
    owners = {os.geteuid(), 65534} if os.geteuid() == 0 else {os.geteuid()}
    open_ones = [path for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    # Postgres writes a few for its group and others into its own folder, which is closed.
    assert [] == [path for path in open_ones if stack.home / "data/postgres" not in path.parents]
    assert owners >= {path.lstat().st_uid for path in paths}


async def test_administration_of_envoy_is_a_socket_in_a_closed_folder(
    stack: StackUnderTest,
) -> None:
    """None of Envoy's ports serves it."""
    status, body = await http_get_from_socket(stack.home / "envoy/admin.sock", "/server_info")
    assert (200, True) == (status, "LIVE" in body)
    ports = _ports_of(stack.pids()["envoy"])
    assert stack.edge_port in ports
    async with httpx.AsyncClient() as http:
        answers = [await http.get(f"http://127.0.0.1:{port}/server_info") for port in ports]
    assert [] == [answer for answer in answers if "LIVE" in answer.text]


def _ports_of(pid: int) -> set[int]:
    """TCP ports on which process *pid* listens."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(link.readlink()))
    inodes = {text[8:-1] for text in found if text.startswith("socket:[")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {
        int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes
    }


def test_no_secret_is_in_process_lists_or_logs(stack: StackUnderTest) -> None:
    """
    Command lines and logs hold none, whatever was called and whatever failed; and no process
    leaves its memory in a core file.

    A process's environment does hold those that are its own: the kernel shows it to the same user
    and to root alone.
    """
    texts = [*_own_secrets(stack), *_tokens(stack)]
    _call_while_stores_die(stack, texts)
    secrets = [text.encode() for text in texts]
    assert all(len(secret) >= 12 for secret in secrets)
    places = [*Path("/proc").glob("[0-9]*/cmdline"), *stack.home.glob("logs/*")]
    assert stack.home / "logs" / "auth.log" in places
    assert [] == [place for place in places if any(s in _bytes_of(place) for s in secrets)]
    limits = [Path(f"/proc/{pid}/limits").read_text() for pid in stack.pids().values()]
    assert all(re.search(r"(?m)^Max core file size +0 +0 ", limit) for limit in limits)


def _own_secrets(stack: StackUnderTest) -> list[str]:
    environment = Path(f"/proc/{stack.pids()['auth']}/environ").read_bytes().decode().split("\0")
    edge = next(text for text in environment if text.startswith("KUJI_EDGE_SECRET="))
    return [
        *_secrets(stack).values(),
        edge.partition("=")[2],
        *(_password(stack, "valkey", user) for user in ("operator", *USERS_OF_REDIS)),
        *(_password(stack, "postgres", role) for role in ("kuji", *map(role_of, SERVICES))),
    ]


def _tokens(stack: StackUnderTest) -> list[str]:
    login = httpx.post(f"{stack.edge}/admin/api/login", json=stack.admin, timeout=20)
    session: Mapping[str, Any] = login.json()["data"]
    return [session["access_token"], session["refresh_token"], "a password of somebody"]


def _call_while_stores_die(stack: StackUnderTest, texts: Sequence[str]) -> None:
    """Calls that hold secrets and fail in several ways."""
    access, refresh, password = texts[-3:]
    pids = stack.pids()
    for part in ("postgres", "valkey"):
        os.kill(pids[part], signal.SIGKILL)
    with httpx.Client(base_url=stack.edge, timeout=20) as http:
        http.headers["authorization"] = f"Bearer {access}"
        for path, body in (
            ("/api/auth/register", {"username": "somebody", "password": password}),
            ("/api/auth/login", {"username": "somebody", "password": password}),
            ("/api/auth/refresh", {"refresh_token": refresh}),
            ("/api/lottery/draw", {"activity_id": "1", "request_id": "a"}),
        ):
            assert 500 != http.post(path, json=body).status_code
        http.headers["authorization"] = f"Bearer {access[:-9]}"
        assert 401 == http.post("/api/lottery/draw", json={}).status_code


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # the process has ended
        return b""
