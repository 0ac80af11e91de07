"""
Brings a backup back, in one transaction: it is all there, or nothing has changed.

pg_restore turns the dump into statements, and psql runs them, between a first step that takes away
what is there and a last one that closes what is open to everybody. The last one is only sent once
pg_restore has said that it was all.
"""

import asyncio
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import asyncpg

from ops.backup import tools
from ops.backup.maker import Progressed
from ops.backup.manifest import DUMP, Manifest
from ops.errors import OperatorError
from services.common.grants import grant
from services.common.migrate import FOLDER, migrate
from services.common.outages import is_outage, told
from services.common.postgres import load_queries
from services.pool.marks.mark import Mark

_queries: Any = load_queries(__file__)
_HERE = Path(__file__).parent
_OWN = "kuji-restore"
_CONNECT_S, _STATEMENT_S = 5.0, 600.0
_TABLE = re.compile(rb'processing data for table "public\.(\w+)"')
# What the owner of a database may have no right to make.
_LEFT_OUT = re.compile(r"^\d+; \d+ \d+ (EXTENSION|SCHEMA|COMMENT - (EXTENSION|SCHEMA)) ")
_LAST_WORDS = 3


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """
    The database that is restored into.

    Raises:
        OperatorError: It does not answer, or refuses, now or inside.
    """
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=_CONNECT_S,
            command_timeout=_STATEMENT_S,
            server_settings={"application_name": _OWN},
        )
        try:
            yield connection
        finally:
            connection.terminate()
    except Exception as error:
        if isinstance(error, asyncpg.PostgresError) or is_outage(error):
            raise OperatorError(f"Postgres refuses, or does not answer: {told(error)}") from error
        raise


async def check_target(
    connection: asyncpg.Connection, manifest: Manifest, is_overwriting: bool
) -> None:
    """OperatorError where *manifest*'s backup cannot, or must not, come into this database."""
    major = await _queries.server_version(connection) // 10_000
    if major < manifest.major:
        raise OperatorError(
            f"The backup is of Postgres {manifest.major}, and this server is of version {major}: "
            "restore into one that is as new"
        )
    newest = max(file.name for file in FOLDER.glob("*.sql"))
    if manifest.schema_name > newest:
        raise OperatorError(
            f"The backup was made by a newer Kuji (schema {manifest.schema_name}, here {newest}): "
            "install that version"
        )
    others = [
        f"{row['who']} ({row['number']})" async for row in _queries.others(connection, own=_OWN)
    ]
    if others:
        raise OperatorError(
            f"Somebody works in this database: {', '.join(others)}. Stop all services first: they "
            "would go on with what they remember"
        )
    if not is_overwriting and await _holds_data(connection):
        raise OperatorError(
            "This database holds data, which would be gone: --overwrite if it is to be"
        )


async def _holds_data(connection: asyncpg.Connection) -> bool:
    if await _queries.is_ours(connection):
        return bool(await _queries.holds_data(connection))
    return bool(await _queries.has_tables(connection))


async def restore(
    connection: asyncpg.Connection,
    dsn: str,
    folder: Path,
    manifest: Manifest,
    marks: Mapping[int, Mark],
    on_progress: Progressed,
) -> None:
    """
    Put the backup in *folder* in the place of what the database has.

    Args:
        marks: What files of this machine know to have been answered, by pool id.

    Raises:
        OperatorError: It could not be done. Unless it says otherwise, nothing has changed.
    """
    major = await _queries.server_version(connection) // 10_000
    programs = [tools.program(name, major) for name in ("pg_restore", "psql")]
    with tempfile.NamedTemporaryFile("w", suffix=".list") as contents:
        contents.write(_contents(programs[0], folder / DUMP))
        contents.flush()
        await _run(programs, dsn, folder / DUMP, contents.name, manifest.tables, on_progress)
    try:
        await migrate(connection)
        await grant(connection)
        await _queries.raise_marks(
            connection,
            pool_ids=list(marks),
            seqs=[mark.seq for mark in marks.values()],
            clocks_us=[mark.clock_us for mark in marks.values()],
        )
    except asyncpg.PostgresError as error:
        raise OperatorError(
            f"The backup is back, but this failed: {told(error)}. Say `kuji restore` again, with "
            "--overwrite"
        ) from error


def _contents(program: str, dump: Path) -> str:
    """What is to be restored of *dump*, as pg_restore lists it."""
    listed = subprocess.run(
        [program, "--list", str(dump)], check=False, capture_output=True, text=True
    )
    if listed.returncode:
        raise OperatorError(f"pg_restore cannot read {dump}: {listed.stderr.strip()}")
    return "".join(
        line for line in listed.stdout.splitlines(keepends=True) if not _LEFT_OUT.match(line)
    )


async def _run(
    programs: list[str],
    dsn: str,
    dump: Path,
    contents: str,
    tables: Mapping[str, int],
    on_progress: Progressed,
) -> None:
    reader, writer = programs
    read = [reader, "--no-owner", "--no-acl", "--verbose", "--file=-", f"--use-list={contents}"]
    write = [writer, "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
    restoring = tools.start([*read, str(dump)], dsn, stdout=subprocess.PIPE)
    running = tools.start(write, dsn, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        words, complaints, _ = await asyncio.gather(
            asyncio.to_thread(_follow, restoring.stderr, tables, on_progress),
            asyncio.to_thread(_follow, running.stderr, {}, on_progress),
            asyncio.to_thread(_feed, restoring, running),
        )
        if running.wait():
            raise OperatorError(f"Nothing has changed: Postgres refuses: {complaints or words}")
        if restoring.wait():
            raise OperatorError(f"Nothing has changed: pg_restore failed: {words}")
    finally:
        for process in (restoring, running):
            process.kill()
            process.wait()


def _feed(restoring: "subprocess.Popen[bytes]", running: "subprocess.Popen[bytes]") -> None:
    assert restoring.stdout is not None
    assert running.stdin is not None
    # Who does not take more has failed, and says why itself.
    with suppress(BrokenPipeError), running.stdin as statements:
        statements.write((_HERE / "empty.sql").read_bytes())
        while chunk := restoring.stdout.read(1 << 16):
            statements.write(chunk)
        if restoring.wait() == 0:
            statements.write((_HERE / "guard.sql").read_bytes())
    restoring.kill()


def _follow(stream: IO[bytes] | None, tables: Mapping[str, int], on_progress: Progressed) -> str:
    """The last words of a program, whose progress is told."""
    assert stream is not None
    total, done, current = sum(tables.values()), 0, ""
    words: list[str] = []
    for line in stream:
        if found := _TABLE.search(line):
            done, current = done + tables.get(current, 0), found[1].decode()
            on_progress(done, total, current)
        words = [*words, line.decode(errors="replace").strip()][-_LAST_WORDS:]
    return "; ".join(words)
