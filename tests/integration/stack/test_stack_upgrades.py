"""A stack on what an older version left behind."""

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from services.common.grants import SERVICES, grant, role_of
from services.common.migrate import migrate
from stack import databases, servers
from stack.home import SECRET_NAMES, STORES_SECRET, Home
from stack.ports import free_port
from stack.processes import Child, stop

_OWNERS = """
SELECT DISTINCT relowner::regrole::text
FROM pg_class
WHERE relnamespace = 'public'::regnamespace
UNION
SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A Postgres as an older Kuji left it: everything is the superuser's."""
    folder, port = tmp_path / "data", free_port()
    servers.postgres(folder, port, tmp_path / "log")
    (folder / "pg_hba.conf").write_text("local all all peer\nhost all all 127.0.0.1/32 trust\n")
    child = Child(servers.postgres(folder, port, tmp_path / "log", {"fsync": "off"}))
    try:
        asyncio.Runner(loop_factory=asyncio.new_event_loop).run(
            child.wait_until_ready(partial(databases.is_up, folder, port))
        )
        yield folder, port
    finally:
        stop([child], timeout_s=10)


async def test_database_of_an_older_version_becomes_the_owners(place: tuple[Path, int]) -> None:
    """Its tables are the owner's, who migrates from then on; the data stays, trust does not."""
    folder, port = place
    async with databases.superuser(folder, port) as superuser:
        await superuser.execute("CREATE DATABASE kuji")
    async with databases.superuser(folder, port, "kuji") as superuser:
        await migrate(superuser)
        await superuser.execute("INSERT INTO users (username, password_hash) VALUES ('ann', '')")
    for _ in range(2):  # each start does it
        roles = [databases.OWNER, *map(role_of, SERVICES)]
        await databases.ensure_roles(folder, port, dict.fromkeys(roles, "secret"))
        await databases.ensure_database(folder, port)
        owner = await asyncpg.connect(f"postgresql://kuji:secret@127.0.0.1:{port}/kuji")
        assert ([], True) == (await migrate(owner), await grant(owner))
        assert ["kuji"] == [row[0] for row in await owner.fetch(_OWNERS)]
        await owner.close()
    service = await asyncpg.connect(f"postgresql://kuji_history:secret@127.0.0.1:{port}/kuji")
    assert "ann" == await service.fetchval("SELECT username FROM users")
    await service.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{port}/kuji", password="")


def test_secrets_of_an_older_version_are_completed(tmp_path: Path) -> None:
    """The stores' secret is added, once, and no other is touched."""
    older = dict.fromkeys(SECRET_NAMES - {STORES_SECRET}, "0" * 64)
    (tmp_path / "secrets.json").write_text(json.dumps(older))
    first, second = Home(tmp_path).secrets(), Home(tmp_path).secrets()
    assert first == second
    assert older | {STORES_SECRET: first[STORES_SECRET]} == first
    assert 64 == len(first[STORES_SECRET])
