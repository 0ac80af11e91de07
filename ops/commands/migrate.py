"""kuji migrate: the schema, the services' roles, and what each may do."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import asyncpg
import typer

from ops.connections import OpsSettings, postgres_address
from ops.errors import OperatorError
from ops.terminal import out
from services.common.grants import SERVICES, ensure_roles, grant, role_of
from services.common.migrate import ChangedMigrationError, migrate
from services.common.outages import is_outage
from services.common.settings import read_settings

_CONNECT_TIMEOUT_S = 5.0
_PAUSE_S = 0.5


class Migrated(NamedTuple):
    """
    What was done.

    Args:
        applied: Migrations that were missing.
        is_granted: Whether the services' roles are there, and may do what they need.
    """

    applied: list[str]
    is_granted: bool


def migrate_database(
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for a database that is not there yet.")
    ] = 120.0,
) -> None:
    """
    Bring the database up to this version: what is missing of the schema, and what each service may
    do. Run it as the database's owner, before the processes of this version start; it may be run
    again, by several at once, and while the processes of the version before are running.

    Where KUJI_ROLE_PASSWORDS_FOLDER is set, the services' roles are made, or given these passwords.
    """
    settings = read_settings(OpsSettings)
    passwords = _passwords_in(settings.role_passwords_folder)
    done = asyncio.run(_migrate(postgres_address(settings), passwords, wait))
    for name in done.applied:
        out.print(f"applied {name}")
    if not done.is_granted:
        roles = f"{role_of(SERVICES[0])}, …"
        out.print(f"There are no roles {roles}: the services have to come in as the owner.")
    out.print("[green]✓[/] the database is up to date")


def _passwords_in(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    try:
        found = {service: (folder / service).read_text("utf-8").strip() for service in SERVICES}
    except OSError as error:
        raise OperatorError(f"A service's password cannot be read: {error}") from error
    for service, password in found.items():
        if not password:
            raise OperatorError(f"{folder / service} is empty: it has to hold a password")
    return found


async def _migrate(dsn: str, passwords: dict[str, str], wait_s: float) -> Migrated:
    connection = await _connected(dsn, time.monotonic() + wait_s)
    try:
        applied = await migrate(connection)
        await ensure_roles(connection, passwords)
        return Migrated(applied, await grant(connection))
    except ChangedMigrationError as error:
        raise OperatorError(f"The database is of another version: {error}") from error
    except asyncpg.PostgresError as error:
        raise OperatorError(f"Postgres refuses: {error}") from error
    except Exception as error:
        if not is_outage(error):
            raise
        raise OperatorError(f"Postgres does not answer any more: {error}") from error
    finally:
        connection.terminate()


async def _connected(dsn: str, until: float) -> asyncpg.Connection:
    while True:
        try:
            return await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
        except Exception as error:
            if not is_outage(error):
                raise
            if time.monotonic() > until:
                why = str(error) or "no answer in time"
                raise OperatorError(f"Postgres does not answer: {why}") from error
        await asyncio.sleep(_PAUSE_S)
