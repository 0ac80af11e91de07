"""Migrations on a real Postgres."""

import asyncio
import os
import sys
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.common.migrate import FOLDER, ChangedMigrationError, migrate

TIMEOUT_S = 60
WAITING_SESSIONS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""
WAITING_FOR_TABLES = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'relation' AND NOT granted AND datname = current_database()
"""
NAMES = sorted(path.name for path in FOLDER.glob("*.sql"))


@pytest.fixture
async def empty_dsn(postgres_server: str) -> AsyncIterator[str]:
    """The DSN of a database with nothing in it."""
    name = f"empty_{uuid.uuid4().hex}"
    server = await asyncpg.connect(f"{postgres_server}/postgres")
    await server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield f"{postgres_server}/{name}"
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


@pytest.fixture
async def connection(empty_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it."""
    connection = await asyncpg.connect(empty_dsn)
    yield connection
    await connection.close()


async def run_process(dsn: str | None) -> tuple[int | None, list[str], str]:
    """Exit code, lines and errors of one migrating process."""
    variables = {name: value for name, value in os.environ.items() if name != "KUJI_POSTGRES_DSN"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.common.migrate"),
        env=variables | ({"KUJI_POSTGRES_DSN": dsn} if dsn else {}),
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode().splitlines(), err.decode()


async def applied(connection: asyncpg.Connection) -> list[str]:
    """What the database says was applied."""
    rows = await connection.fetch("SELECT name FROM schema_migrations ORDER BY name")
    return [row["name"] for row in rows]


async def test_files_are_applied_once_when_several_processes_migrate(
    empty_dsn: str, connection: asyncpg.Connection
) -> None:
    """Four at once: all succeed, and each file is applied by exactly one of them."""
    outcomes = await asyncio.gather(*(run_process(empty_dsn) for _ in range(4)))
    lines = sorted(line for _, printed, _ in outcomes for line in printed)
    assert [code for code, _, _ in outcomes] == [0, 0, 0, 0]
    assert lines == [f"applied {name}" for name in NAMES]
    assert await applied(connection) == NAMES


async def until_waiting(connection: asyncpg.Connection, sessions: int) -> None:
    """Return when as many sessions wait for an advisory lock."""
    async with asyncio.timeout(TIMEOUT_S):
        # Postgres tells nobody when a session begins to wait.
        while await connection.fetchval(WAITING_SESSIONS) < sessions:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_file_is_applied_once_when_another_migrator_is_in_the_middle_of_it(
    connection: asyncpg.Connection, empty_dsn: str, tmp_path: Path
) -> None:
    """The second waits for the first to commit, and then finds nothing left to do."""
    (tmp_path / "0001_slow.sql").write_text(
        "SELECT pg_advisory_xact_lock(42); CREATE TABLE things (id integer)"
    )
    await connection.execute("SELECT pg_advisory_lock(42)")
    migrators = [await asyncpg.connect(empty_dsn) for _ in range(2)]
    running = [asyncio.create_task(migrate(migrator, tmp_path)) for migrator in migrators]
    await until_waiting(connection, 2)
    await connection.execute("SELECT pg_advisory_unlock(42)")
    assert sorted(await asyncio.gather(*running)) == [[], ["0001_slow.sql"]]
    for migrator in migrators:
        await migrator.close()


async def test_process_stops_with_a_sentence_when_no_database_is_named() -> None:
    """The variable's name, and an exit code that is not 0."""
    code, _, errors = await run_process(None)
    assert (code, errors) == (1, "kuji: KUJI_POSTGRES_DSN is not set\n")


async def test_nothing_happens_when_all_is_applied(connection: asyncpg.Connection) -> None:
    """The second run applies nothing, and says so."""
    assert await migrate(connection) == NAMES
    assert await migrate(connection) == []


async def test_files_are_applied_in_the_order_of_their_names(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    """A later file builds on an earlier one, and one added later comes on top."""
    (tmp_path / "0002_rows.sql").write_text("INSERT INTO things VALUES (1)")
    (tmp_path / "0001_table.sql").write_text("CREATE TABLE things (id integer)")
    (tmp_path / "notes.txt").write_text("no SQL")
    assert await migrate(connection, tmp_path) == ["0001_table.sql", "0002_rows.sql"]
    (tmp_path / "0003_more.sql").write_text("INSERT INTO things VALUES (2)")
    assert await migrate(connection, tmp_path) == ["0003_more.sql"]
    assert await connection.fetchval("SELECT sum(id) FROM things") == 3


async def test_file_is_refused_when_it_has_changed_since(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    """What ran is history: the error names the file, and nothing after it is applied."""
    (tmp_path / "0001_table.sql").write_text("CREATE TABLE things (id integer)")
    await migrate(connection, tmp_path)
    (tmp_path / "0001_table.sql").write_text("CREATE TABLE things (id bigint)")
    (tmp_path / "0002_other.sql").write_text("CREATE TABLE others (id integer)")
    with pytest.raises(ChangedMigrationError, match=r"0001_table\.sql"):
        await migrate(connection, tmp_path)
    assert await applied(connection) == ["0001_table.sql"]


async def test_file_leaves_nothing_when_it_fails_half_way(
    connection: asyncpg.Connection, empty_dsn: str, tmp_path: Path
) -> None:
    """Its transaction is rolled back, the ones before stay, and nobody is locked out."""
    (tmp_path / "0001_table.sql").write_text("CREATE TABLE things (id integer)")
    broken = tmp_path / "0002_broken.sql"
    broken.write_text("CREATE TABLE others (id integer); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(connection, tmp_path)
    assert await applied(connection) == ["0001_table.sql"]
    assert await connection.fetchval("SELECT to_regclass('others')") is None
    broken.write_text("CREATE TABLE others (id integer)")
    another = await asyncpg.connect(empty_dsn)
    assert await asyncio.wait_for(migrate(another, tmp_path), TIMEOUT_S) == ["0002_broken.sql"]
    await another.close()


async def test_migration_gives_way_while_it_waits_for_a_table(
    connection: asyncpg.Connection, empty_dsn: str, tmp_path: Path
) -> None:
    """Somebody reads for long: others read on meanwhile, and the migration comes after them."""
    (tmp_path / "0001_table.sql").write_text("CREATE TABLE things (id integer)")
    await migrate(connection, tmp_path)
    (tmp_path / "0002_more.sql").write_text("ALTER TABLE things ADD COLUMN name text")
    reader, other = [await asyncpg.connect(empty_dsn) for _ in range(2)]
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT id FROM things")
    migrating = asyncio.create_task(migrate(connection, tmp_path))
    async with asyncio.timeout(TIMEOUT_S):
        while not await other.fetchval(WAITING_FOR_TABLES):  # noqa: ASYNC110  # see until_waiting
            await asyncio.sleep(0.01)
        assert [] == await other.fetch("SELECT id FROM things")
        await reading.rollback()
        assert ["0002_more.sql"] == await migrating
    await reader.close()
    await other.close()
