"""kuji migrate: a database of one's own, from nothing to what the services need."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.common.grants import SERVICES
from services.common.migrate import FOLDER
from stack import databases, servers
from stack.ports import free_port
from stack.processes import Child, stop
from tests.support.command import Ran, run_kuji
from tests.support.folders import throwaway_folder

NAMES = sorted(path.name for path in FOLDER.glob("*.sql"))


class Server:
    """A Postgres of this test alone: roles are for a whole server."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port

    def dsn(self, role: str, password: str) -> str:
        """How *role* comes in."""
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/shop"

    async def make_database(self) -> None:
        """Make one of an owner who may make roles, and is no superuser."""
        async with databases.superuser(self.data, self.port) as connection:
            await connection.execute("CREATE ROLE owner LOGIN CREATEROLE PASSWORD 'owner'")
            await connection.execute("CREATE DATABASE shop OWNER owner")

    async def migrate(self, *options: str, **environment: str) -> Ran:
        """Run the command as the owner."""
        dsn = self.dsn("owner", "owner")
        return await run_kuji("migrate", *options, KUJI_POSTGRES_DSN=dsn, **environment)

    async def may_draw(self, password: str) -> bool:
        """Whether the draw service, with *password*, finds its tables and not auth's."""
        connection = await asyncpg.connect(self.dsn("kuji_draw", password), timeout=10)
        try:
            await connection.fetch("SELECT id FROM pools")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("SELECT kid FROM signing_keys")
            return True
        finally:
            await connection.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Without the database yet."""
    with throwaway_folder("kuji-postgres-") as folder:
        port = free_port()
        child = Child(servers.postgres(folder / "data", port, folder / "log"))
        try:
            await child.wait_until_ready(lambda: databases.is_up(folder / "data", port))
            yield Server(folder / "data", port)
        finally:
            stop([child], 10)


async def test_owner_brings_a_new_database_up_to_date(server: Server, tmp_path: Path) -> None:
    """
    Two at once, before there is a database: it is waited for, each file is applied once, the
    services come in with their passwords. Once more changes a password, and nothing else.
    """
    for service in SERVICES:
        (tmp_path / service).write_text(f"secret of '{service}\n")
    told = {"KUJI_ROLE_PASSWORDS_FOLDER": str(tmp_path)}
    both = [asyncio.create_task(server.migrate(**told)) for _ in range(2)]
    await server.make_database()
    one, two = await asyncio.gather(*both)
    assert [(0, ""), (0, "")] == [(one.code, one.err), (two.code, two.err)]
    applied = [line for line in (one.out + two.out).splitlines() if line.startswith("applied ")]
    assert [f"applied {name}" for name in NAMES] == sorted(applied)
    assert await server.may_draw("secret%20of%20%27draw")

    (tmp_path / "draw").write_text("another")
    assert (0, "✓ the database is up to date\n", "") == await server.migrate(**told)
    assert await server.may_draw("another")
    # Who has no passwords to give leaves them as they are.
    assert (0, "✓ the database is up to date\n", "") == await server.migrate()
    assert await server.may_draw("another")


async def test_database_that_is_not_there_is_named_in_time(server: Server, tmp_path: Path) -> None:
    """One sentence and exit code 2; so is a password that is missing."""
    code, _, said = await server.migrate("--wait", "0")
    assert (2, True) == (code, said.startswith("kuji: Postgres does not answer: "))
    code, _, said = await server.migrate(KUJI_ROLE_PASSWORDS_FOLDER=str(tmp_path))
    assert (2, True) == (code, said.startswith("kuji: A service's password cannot be read: "))
