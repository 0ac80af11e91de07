"""Grants: what the role of each service may do in the database; grants.sql says it."""

from collections.abc import Mapping
from pathlib import Path

import asyncpg

SQL = Path(__file__).with_name("grants.sql")
ROLE_SQL = Path(__file__).with_name("roles.sql")
SERVICES = ("auth", "draw", "admin", "history", "recorder")

_COUNT_ROLES = "SELECT count(*) FROM pg_roles WHERE rolname = ANY($1)"
_TELL_ROLE = "SELECT set_config('kuji.role', $1, true), set_config('kuji.password', $2, true)"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('kuji.grants'))"


def role_of(service: str) -> str:
    """The role that *service* comes in as."""
    return f"kuji_{service}"


async def grant(connection: asyncpg.Connection) -> bool:
    """
    Give each service's role what it needs of the tables that there are now, and nothing else.

    Args:
        connection: The database owner's.

    Returns:
        False where the roles are missing: then the services come in as the owner.
    """
    roles = [role_of(service) for service in SERVICES]
    if await connection.fetchval(_COUNT_ROLES, roles) < len(roles):
        return False
    async with connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute(SQL.read_text("utf-8"))
    return True


async def ensure_roles(connection: asyncpg.Connection, passwords: Mapping[str, str]) -> None:
    """
    Make the roles of the services in *passwords*, or give those that are there these passwords.

    Args:
        connection: Of a role that may make roles; it need be no superuser.
        passwords: By service.
    """
    async with connection.transaction():
        await connection.execute(_LOCK)
        for service, password in passwords.items():
            await connection.execute(_TELL_ROLE, role_of(service), password)
            await connection.execute(ROLE_SQL.read_text("utf-8"))
