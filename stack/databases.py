"""The embedded Postgres from inside: its superuser, its roles, its database."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from services.common.outages import is_outage
from services.common.postgres import load_queries

DATABASE = "kuji"  # also named in queries.sql
OWNER = "kuji"

_TIMEOUT_S = 5.0
_queries = load_queries(__file__)


@asynccontextmanager
async def superuser(
    folder: Path, port: int, database: str = "postgres"
) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the superuser to the server on *folder*, whose socket is there."""
    # A socket's address is short, a folder's may be long: it is named by its descriptor.
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        connection = await asyncpg.connect(
            host=f"/proc/self/fd/{descriptor}",
            port=port,
            user="postgres",
            database=database,
            timeout=_TIMEOUT_S,
            command_timeout=_TIMEOUT_S,
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=_TIMEOUT_S)
    finally:
        os.close(descriptor)


async def is_up(folder: Path, port: int) -> bool:
    """Whether the server on *folder* takes statements."""
    try:
        async with superuser(folder, port) as connection:
            return bool(await connection.fetchval("SELECT true"))
    except Exception as error:
        if not is_outage(error):
            raise
        return False


async def ensure_roles(folder: Path, port: int, passwords: Mapping[str, str]) -> None:
    """Make the roles in *passwords*, none of them a superuser, each with its own."""
    async with superuser(folder, port) as connection:
        for role, password in passwords.items():
            await _queries.tell(connection, role=role, password=password)
            await _queries.ensure_role(connection)


async def ensure_database(folder: Path, port: int) -> None:
    """Make the owner's database; one that an older Kuji made becomes the owner's."""
    async with superuser(folder, port) as connection:
        if not await _queries.database_exists(connection):
            await _queries.create_database(connection)
    async with superuser(folder, port, DATABASE) as connection:
        await _queries.hand_over(connection)


async def open_to_superuser(folder: Path, port: int, password: str) -> None:
    """Let the superuser come in by TCP too: for a server that is thrown away after a test."""
    async with superuser(folder, port) as connection:
        await _queries.tell(connection, role="postgres", password=password)
        await _queries.set_password(connection)
