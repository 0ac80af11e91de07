"""kuji backup and kuji restore, on a database of one's own: whole or not at all."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from ops.backup.aftermath import Fate, _Left, fate
from ops.backup.tools import environment, program
from ops.errors import OperatorError
from stack.processes import ROOT
from tests.support.books import Pool, open_pool
from tests.support.command import Ran, run_kuji

KEY = "5e" * 32


class Site:
    """An installation whose stores are its own."""

    def __init__(self, folder: Path, dsn: str, redis_url: str) -> None:
        self.backup = folder / "backup"
        self.dsn = dsn
        self.environment = {
            "KUJI_HOME": str(folder / "home"),
            "KUJI_POSTGRES_DSN": dsn,
            "KUJI_REDIS_URL": redis_url,
            "KUJI_SEED_KEY": KEY,
        }

    async def kuji(self, *arguments: str | Path) -> Ran:
        """The command; nobody else is connected meanwhile."""
        return await run_kuji(*arguments, **self.environment)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Pool]:
        """The database, as nobody knows it while a backup is restored."""
        async with asyncpg.create_pool(self.dsn, min_size=0, max_size=2) as postgres:
            yield postgres


@pytest.fixture
def site(tmp_path: Path, postgres_dsn: str, redis_url: str, redis: Redis) -> Site:
    """Empty."""
    del redis  # emptied
    return Site(tmp_path, postgres_dsn, redis_url)


async def _campaign(postgres: asyncpg.Pool, redis: Redis) -> Pool:
    """A pool with ten draws that are recorded."""
    pool = await open_pool(postgres, redis, 50)
    await pool.configure(0.5)
    await pool.draw(10)
    await pool.record()
    return pool


async def test_backup_is_restored_and_redis_ledger_has_what_came_after(
    site: Site, redis: Redis
) -> None:
    """Redis survives: what was drawn after the backup is there, and is recorded again."""
    async with site.connected() as postgres:
        pool = await _campaign(postgres, redis)
        made = await site.kuji("backup", site.backup)
        assert (0, True) == (made.code, "10 draws of 1 pool" in made.out), made
        await pool.draw(5)
        await pool.record()
        busy = await site.kuji("restore", site.backup, "--overwrite")
        assert (2, True) == (busy.code, "Somebody works in this database" in busy.err), busy
    refused = await site.kuji("restore", site.backup)
    assert (2, True) == (refused.code, "holds data, which would be gone" in refused.err), refused
    ran = await site.kuji("restore", site.backup, "--overwrite")
    assert 0 == ran.code, ran
    assert f"pool {pool.pool_id}: draws 11 to 15 are in Redis's ledger, and will be" in ran.out
    assert "Next: start your services; kuji reconcile; kuji doctor" in ran.out
    async with site.connected() as postgres:
        assert 10 == await postgres.fetchval("SELECT count(*) FROM lottery_records")
        # Ids of accounts that came after the backup are not given again; rights are as they were.
        assert await postgres.fetchval("SELECT nextval('users_id_seq')") > 1_000_000
        assert not await postgres.fetchval(
            "SELECT has_function_privilege('kuji_auth', 'pass_lost_ids(text, bigint)', 'EXECUTE')"
        )
        assert await postgres.fetchval("SELECT has_table_privilege('kuji_draw', 'pools', 'SELECT')")
        pool.postgres = postgres
        await pool.record()
    assert "the books balance" in (await site.kuji("reconcile")).out


async def test_restore_says_what_is_lost_with_redis_and_rebuild_holds_units_back(
    site: Site, redis: Redis
) -> None:
    """The marks of the database that is replaced are carried over: what they know is exact."""
    async with site.connected() as postgres:
        pool = await _campaign(postgres, redis)
        assert 0 == (await site.kuji("backup", site.backup)).code
        await pool.draw(3)
        await postgres.execute(
            "INSERT INTO pool_marks (pool_id, seq, reserved_seq, run_id, witness)"
            " VALUES ($1, 13, 4000013, '', '')",
            pool.pool_id,
        )
        later = await open_pool(postgres, redis, 5)
        await later.configure(0.5)
        await later.draw(4)
    ran = await site.kuji("restore", site.backup, "--overwrite")
    assert f"pool {pool.pool_id}: draws 11 to 13 are in Redis's ledger" in ran.out
    assert f"pool {later.pool_id}: was made after the backup" in ran.out
    assert "its 4 draws, which can be neither recorded nor proven" in ran.out
    await redis.flushall()
    ran = await site.kuji("restore", site.backup, "--overwrite")
    assert f"pool {pool.pool_id}: draws 11 to 13 are lost, though answered" in ran.out, ran
    assert "Next: start your services; kuji rebuild; kuji reconcile; kuji doctor" in ran.out
    rebuilt = await site.kuji("rebuild")
    assert "3 answered draws are lost; 3 units held back" in rebuilt.out, rebuilt
    async with site.connected() as postgres:
        assert 4_000_013 <= await postgres.fetchval("SELECT recorded_seq FROM pools")
    assert "the books balance" in (await site.kuji("reconcile")).out


@pytest.mark.parametrize(
    ("marked", "left", "expected"),
    [
        (10, _Left(10, None), Fate(4)),
        (12, _Left(12, 11), "draws 11 to 12 are in Redis's ledger"),
        (30, _Left(30, 21), "draws 11 to 20 are in neither"),
        (30, _Left(30, None), "draws 11 to 30 are in neither"),
        (11, _Left(10, None), "draw 11 is lost, though answered"),
        (10, _Left(9, None), Fate(4, is_to_rebuild=True)),
        (10, None, Fate(4, is_to_rebuild=True)),
        (11, None, "draw 11 is lost, though answered"),
    ],
)
def test_restore_knows_what_becomes_of_a_pool(
    marked: int, left: _Left | None, expected: Fate | str
) -> None:
    """Ten draws are in the backup; *marked* were answered, as far as anybody knows."""
    found = fate(4, 10, marked, left)
    if isinstance(expected, Fate):
        assert expected == found
    else:
        assert expected in found.sentence


async def test_backup_that_was_killed_is_none_and_the_next_one_is_whole(
    site: Site, redis: Redis
) -> None:
    """In the middle of it, by SIGKILL: pg_dump ends with it, and its place is used again."""
    async with site.connected() as postgres:
        await _campaign(postgres, redis)
        await postgres.execute("CREATE SCHEMA other; CREATE TABLE other.of_others ()")
        async with postgres.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE other.of_others")  # pg_dump waits here
            process = _start(site, "backup")
            await _until_waiting(postgres)
            second = await site.kuji("backup", site.backup)
            assert "Another backup is being written" in second.err
            process.kill()
            process.wait()
        assert not site.backup.exists()
        part = site.backup.with_name("backup.part")
        assert part.exists()
        for broken in (site.backup, part):
            ran = await site.kuji("backup", "--verify", broken)
            assert (2, True) == (ran.code, "is no backup, or one that was broken off" in ran.err)
        await _until_alone(postgres)
    assert 2 == (await site.kuji("restore", part, "--overwrite")).code
    assert 0 == (await site.kuji("backup", site.backup)).code
    assert not part.exists()
    ran = await site.kuji("backup", "--verify", site.backup)
    assert (0, True) == (ran.code, "is whole: 10 draws of 1 pool" in ran.out)


def _start(site: Site, name: str) -> "subprocess.Popen[bytes]":
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KUJI_")}
    command = [sys.executable, "-m", "ops.cli", name, str(site.backup)]
    return subprocess.Popen(command, cwd=ROOT, env={**inherited, **site.environment})


async def _until_waiting(postgres: asyncpg.Pool) -> None:
    await _until(
        postgres,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND application_name = 'pg_dump' AND datname = current_database())",
    )


async def _until_alone(postgres: asyncpg.Pool) -> None:
    await _until(
        postgres,
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'pg_dump'"
        " AND datname = current_database())",
    )


async def _until(postgres: asyncpg.Pool, question: str) -> None:
    async with asyncio.timeout(60):
        while not await postgres.fetchval(question):  # noqa: ASYNC110  # nothing tells us
            await asyncio.sleep(0.02)


async def test_restore_changes_nothing_when_it_fails_on_the_way(site: Site, redis: Redis) -> None:
    """Near its end, when all rows are in: what was there is there again."""
    async with site.connected() as postgres:
        await _campaign(postgres, redis)
        assert 0 == (await site.kuji("backup", site.backup)).code
        await postgres.execute("UPDATE users SET email = 'kept'; CREATE SCHEMA other")
        await postgres.execute(
            "CREATE FUNCTION other.refuse() RETURNS event_trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'no trigger today'; END $$"
        )
        await postgres.execute(
            "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER')"
            " EXECUTE FUNCTION other.refuse()"
        )
        await postgres.execute("INSERT INTO blocks (user_id, reason, created_by) VALUES (1, '', 1)")
    ran = await site.kuji("restore", site.backup, "--overwrite")
    assert (2, True) == (ran.code, "Nothing has changed: Postgres refuses" in ran.err), ran
    assert "no trigger today" in ran.err
    async with site.connected() as postgres:
        await postgres.execute("DROP EVENT TRIGGER refuse")
        assert 1 == await postgres.fetchval("SELECT count(*) FROM blocks")
        assert 10 == await postgres.fetchval("SELECT count(*) FROM lottery_records")
    assert 0 == (await site.kuji("restore", site.backup, "--overwrite")).code
    async with site.connected() as postgres:
        assert 0 == await postgres.fetchval("SELECT count(*) FROM blocks")


async def test_backup_that_is_damaged_or_does_not_fit_is_refused(site: Site) -> None:
    """A byte more or less, another server, other secrets, a newer Kuji: each with its sentence."""
    phrase = site.backup.with_name("phrase")
    phrase.write_text("correct horse battery\n")
    made = await site.kuji("backup", site.backup, "--passphrase-file", phrase)
    assert (0, True) == (made.code, "The secrets are in it" in made.out), made
    dump, manifest = site.backup / "kuji.dump", site.backup / "manifest.json"
    whole, told = dump.read_bytes(), json.loads(manifest.read_text())
    assert KEY.encode() not in b"".join(file.read_bytes() for file in site.backup.iterdir())
    for damaged in (whole[:-1], whole + b"x", whole[:500] + b"?" + whole[501:]):
        dump.write_bytes(damaged)
        for command in (("backup", "--verify"), ("restore", "--overwrite")):
            ran = await site.kuji(*command, site.backup)
            assert (2, True) == (ran.code, "kuji.dump is damaged" in ran.err), ran
    dump.write_bytes(whole)
    for change, sentence in (
        ({"server": 990001}, "The backup is of Postgres 99, and this server is of version 18"),
        ({"schema_name": "9999.sql"}, "was made by a newer Kuji"),
        ({"secrets": {"KUJI_SEED_KEY": "00"}}, "KUJI_SEED_KEY is not what this backup was made"),
    ):
        manifest.write_text(json.dumps({**told, **change}))
        ran = await site.kuji("restore", site.backup)
        assert (2, True) == (ran.code, sentence in ran.err), ran
    manifest.write_text("{}")
    assert "manifest.json is damaged" in (await site.kuji("backup", "--verify", site.backup)).err


async def test_backup_says_in_a_sentence_why_it_cannot_be_made(site: Site, tmp_path: Path) -> None:
    """A folder with something in it, one that may not be made, a database that is away."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for folder, sentence in (
        (tmp_path / "full", "is there already, and not empty"),
        (Path("/proc/backup"), "/proc/backup.part: No such file"),
    ):
        ran = await site.kuji("backup", folder)
        assert (2, True, 1) == (ran.code, sentence in ran.err, ran.err.count("kuji: ")), ran
    inside = await site.kuji("backup", site.backup, "--secrets-to", site.backup / "secrets.json")
    assert "outside of the backup" in inside.err
    site.environment["KUJI_POSTGRES_DSN"] = "postgresql://127.0.0.1:1/kuji"
    assert "Postgres does not answer" in (await site.kuji("backup", site.backup)).err
    left = [name for name in os.listdir(tmp_path) if name.startswith("backup")]  # noqa: PTH208
    assert [] == left


def test_program_of_postgres_has_to_be_as_new_as_the_server() -> None:
    """Else the sentence names the package; a password is not among its arguments."""
    assert program("pg_dump", 18).endswith("pg_dump")
    with pytest.raises(OperatorError, match="install the client programs of version 99 or newer"):
        program("pg_dump", 99)
    with pytest.raises(OperatorError, match="There is no pg_nonesuch here"):
        program("pg_nonesuch", 18)
    told = environment("postgresql://ku%40ji:se%2Fcret@db:5433/k?sslmode=require")
    named = {name: value for name, value in told.items() if name.startswith("PG")}
    assert named["PGPASSWORD"] == "se/cret"
    assert (named["PGUSER"], named["PGHOST"], named["PGPORT"]) == ("ku@ji", "db", "5433")
    assert (named["PGDATABASE"], named["PGSSLMODE"]) == ("k", "require")
