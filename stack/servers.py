"""The real Valkey and Postgres, from their Python wheels or from the machine."""

import dataclasses
import os
import pwd
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from stack import unprivileged
from stack.processes import Child, Program, StackError
from stack.wheels import postgres_binary, redis_server

_INIT_TIMEOUT_S = 60.0
_WAYS_IN = """\
local all postgres peer map=stack
host all all 127.0.0.1/32 scram-sha-256
"""


def valkey(folder: Path, port: int, log: Path, users: Path | None = None) -> Program:
    """
    Valkey on loopback; it answers a write after the fsync of it.

    Args:
        folder: Where it keeps its data.
        port: Where to listen.
        log: File for its output.
        users: Its ACL file; None: everybody may do everything.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-load-truncated": "no",  # see aof.mend, which knows a torn end from other damage
        "save": "",
        "hz": "4",  # ten times a second it would look whether there is something to tidy up
        # Half of the machine: draws are shed before it is reached, and nothing is ever evicted.
        "maxmemory": str(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2),
        "maxmemory-policy": "noeviction",
        **({"aclfile": str(users)} if users else {}),
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    return Program("valkey", [redis_server(), *arguments], log)


async def valkey_answers(url: str) -> bool:
    """Whether the server at *url* is up and has loaded its data."""
    try:
        async with redis.asyncio.Redis.from_url(
            url, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0)
        ) as client:
            return bool(await client.ping())
    except Exception:  # noqa: BLE001  # whatever it says: it does not answer yet
        return False


def postgres(
    folder: Path, port: int, log: Path, settings: Mapping[str, str] | None = None
) -> Program:
    """
    Postgres on loopback, its data folder made where there is none.

    Everybody needs a password but the superuser, who has none: he comes by a socket in the data
    folder, as the user who runs the stack; see databases.superuser.

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
    _let_in(folder)
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": ".",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "log_error_verbosity": "terse",  # no rows that do not fit: prize codes are in some
        **(settings or {}),
    }
    arguments = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
    # SIGQUIT: the postmaster takes its children along, so that the next start finds none.
    program = _on_data("postgres", folder, arguments, log, signal.SIGQUIT)
    # SIGTERM would wait for every client to leave.
    return dataclasses.replace(program, stop_signal=signal.SIGINT)


def _init_database(folder: Path, log: Path) -> None:
    # Built beside its place and renamed, so that an interrupted initdb leaves no half folder.
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    unprivileged.give_to_user(fresh)
    options = ["--username=postgres", "--encoding=UTF8", "--no-locale"]
    ways_in = ["--auth-local=peer", "--auth-host=reject"]
    child = Child(_on_data("initdb", fresh, [*options, *ways_in], log, signal.SIGKILL))
    child.finish(_INIT_TIMEOUT_S)
    if child.exit_code() != 0:
        raise StackError(f"Postgres could not make its data folder {folder}{child.log_end()}")
    fresh.rename(folder)


def _let_in(folder: Path) -> None:
    """Say who may connect, and how; at each start, since older versions let everybody in."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    files = {"pg_hba.conf": _WAYS_IN, "pg_ident.conf": f'stack "{me}" postgres\n'}
    for name, content in files.items():
        fresh = folder / f"{name}.new"
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            os.fchown(stream.fileno(), folder.stat().st_uid, folder.stat().st_gid)
        fresh.rename(folder / name)


def _on_data(
    name: str, folder: Path, arguments: Sequence[str], log: Path, death_signal: signal.Signals
) -> Program:
    """
    Postgres's program *name*, at work in the data *folder*.

    It starts there, and so gets there too where it runs as somebody who cannot enter the folders
    above.
    """
    user = unprivileged.user_for(folder)
    place = str(folder) if user is None else "/proc/self/cwd"
    command = [postgres_binary(name), "-D", place, *arguments]
    return Program(name, command, log, death_signal=death_signal, user=user, folder=folder)


async def postgres_answers(dsn: str) -> bool:
    """Whether the server of *dsn* takes statements."""
    try:
        connection = await asyncpg.connect(dsn, timeout=2)
        try:
            return bool(await connection.fetchval("SELECT true", timeout=2))
        finally:
            connection.terminate()
    except Exception:  # noqa: BLE001  # whatever it says: it does not answer yet
        return False
