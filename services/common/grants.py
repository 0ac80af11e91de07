"""Grants: what the role of each service may do in the database; grants.sql says it."""

from pathlib import Path

import asyncpg

SQL = Path(__file__).with_name("grants.sql")
SERVICES = ("auth", "draw", "admin", "history", "recorder")

_COUNT_ROLES = "SELECT count(*) FROM pg_roles WHERE rolname = ANY($1)"
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
