"""
Migrations: the .sql files beside this one, forward only, safe to run from many processes.

As a program it sees to the grants, too.
"""

import asyncio
import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import asyncpg

from services.common.grants import grant

FOLDER = Path(__file__).with_name("migrations")
_LOCK = 0x4B554A49  # "KUJI": one migrator at a time
# A migration that waits for a table keeps all others from it: it gives way, and comes again.
_LOCK_TIMEOUT_MS = 2000
_GIVES_WAY = 30
_GIVES_WAY_S = 0.5

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
"""


class ChangedMigrationError(Exception):
    """A file that was already applied has other content now."""


class _Migration(NamedTuple):
    name: str
    sql: str
    sha256: str


def _read(folder: Path) -> list[_Migration]:
    texts = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.sql"))}
    return [
        _Migration(name, sql, hashlib.sha256(sql.encode()).hexdigest())
        for name, sql in texts.items()
    ]


async def migrate(connection: asyncpg.Connection, folder: Path = FOLDER) -> list[str]:
    """
    Apply what is missing, each file in a transaction of its own, in the order of names.

    Returns:
        Names of the files applied by this call.

    Raises:
        ChangedMigrationError: An applied file has changed since.
    """
    migrations = _read(folder)
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_CREATE_TABLE)
        rows = await connection.fetch("SELECT name, sha256 FROM schema_migrations")
        applied = {row["name"]: row["sha256"] for row in rows}
        return [
            migration.name
            for migration in migrations
            if await _apply(connection, migration, applied.get(migration.name))
        ]
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _apply(
    connection: asyncpg.Connection, migration: _Migration, applied_sha256: str | None
) -> bool:
    name, _, sha256 = migration
    if applied_sha256 == sha256:
        return False
    if applied_sha256 is not None:
        raise ChangedMigrationError(f"{name} was changed after it had been applied")
    for _ in range(_GIVES_WAY):
        with suppress(asyncpg.LockNotAvailableError):
            await _apply_now(connection, migration)
            return True
        await asyncio.sleep(_GIVES_WAY_S)
    await _apply_now(connection, migration)
    return True


async def _apply_now(connection: asyncpg.Connection, migration: _Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)",
            migration.name,
            migration.sha256,
        )


async def _main() -> None:
    connection = await asyncpg.connect(os.environ["KUJI_POSTGRES_DSN"])
    try:
        for name in await migrate(connection):
            print(f"applied {name}")  # noqa: T201
        await grant(connection)
    finally:
        await connection.close()


if __name__ == "__main__":
    if "KUJI_POSTGRES_DSN" not in os.environ:
        sys.exit("kuji: KUJI_POSTGRES_DSN is not set")
    asyncio.run(_main())
