"""A stack from its start to its end, in this process."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from services.common.grants import SERVICES, grant, role_of
from services.common.migrate import ChangedMigrationError, migrate
from services.common.outages import is_outage, told
from stack import databases, servers
from stack.credentials import OPERATOR, Passwords
from stack.home import STORES_SECRET, Home, write_json
from stack.logs import keep_small
from stack.parts import (
    Addresses,
    choose_addresses,
    edge_part,
    port_of,
    service_parts,
    store_parts,
)
from stack.ports import edge_address
from stack.processes import StackError
from stack.settings import StackSettings
from stack.supervisor import Report, Supervisor, run_together

OnReady = Callable[[Addresses, str], None]

_EXTERNAL_TIMEOUT_S = 5.0
_MIGRATION_TIMEOUT_S = 600.0


async def run_stack(settings: StackSettings, report: Report, on_ready: OnReady) -> None:
    """
    Start the stack, call *on_ready* with its addresses and the administrator's password, and
    keep it running until SIGTERM, SIGINT or SIGHUP; then stop it.

    Raises:
        StackError: It cannot start, or a part does not stay up. Nothing is left running.
    """
    home = Home(settings.home)
    with home.locked():
        edge_address(settings.edge_host, settings.edge_port)  # before anything is made
        supervisor = Supervisor(report, lambda pids: write_json(home.pids_file, pids))
        try:
            keeping = _start_and_keep(settings, home, supervisor, on_ready)
            logs = keep_small(home.log("*").parent, settings.max_log_bytes)
            await _until_signalled(run_together([keeping, logs]), report)
        finally:
            supervisor.stop()


async def _until_signalled(work: Awaitable[None], report: Report) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        report("Stopping …")


async def _start_and_keep(
    settings: StackSettings, home: Home, supervisor: Supervisor, on_ready: OnReady
) -> None:
    secrets = home.secrets()
    passwords = Passwords(secrets[STORES_SECRET])
    addresses = choose_addresses(settings, home, passwords)
    await supervisor.start(store_parts(settings, home, addresses, passwords))
    await prepare_stores(settings, home, addresses, passwords)
    await supervisor.start(service_parts(home, addresses, secrets), [edge_part(home, addresses)])
    password = secrets["KUJI_ADMIN_PASSWORD"]
    write_json(home.endpoints_file, addresses.endpoints(password))
    on_ready(addresses, password)
    await supervisor.keep()


async def prepare_stores(
    settings: StackSettings, home: Home, addresses: Addresses, passwords: Passwords
) -> None:
    """
    See that both stores answer, and that the database, its roles and its schema are there.

    Raises:
        StackError: They are not.
    """
    if settings.redis_url and not await _answers(servers.valkey_answers, settings.redis_url):
        raise StackError("The Redis that KUJI_REDIS_URL names does not answer")
    if settings.postgres_dsn and not await _answers(
        servers.postgres_answers, settings.postgres_dsn
    ):
        raise StackError("The Postgres that KUJI_POSTGRES_DSN names does not answer")
    dsn = addresses.postgres[OPERATOR]
    try:
        if settings.postgres_dsn is None:
            await _make_roles(home.data("postgres"), port_of(dsn), passwords)
        await _migrate(dsn)
    except TimeoutError as error:
        raise StackError("The database could not be migrated: no answer in time") from error
    except (asyncpg.PostgresError, ChangedMigrationError) as error:
        raise StackError(f"The database could not be migrated: {error}") from error
    except Exception as error:
        if not is_outage(error):
            raise
        raise StackError(f"The database could not be migrated: {told(error)}") from error


async def _make_roles(folder: Path, port: int, passwords: Passwords) -> None:
    roles = [databases.OWNER, *map(role_of, SERVICES)]
    known = {role: passwords.of("postgres", role) for role in roles}
    await databases.ensure_roles(folder, port, known)
    await databases.ensure_database(folder, port)


async def _migrate(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=5, command_timeout=_MIGRATION_TIMEOUT_S)
    try:
        await migrate(connection)
        await grant(connection)
    finally:
        connection.terminate()


async def _answers(probe: Callable[[str], Awaitable[bool]], url: str) -> bool:
    try:
        async with asyncio.timeout(_EXTERNAL_TIMEOUT_S):
            while not await probe(url):  # noqa: ASYNC110  # nothing tells us
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    return True
