"""
Makes a backup: beside its place, and renamed when it is whole.

What is in the manifest and what is in the dump are of one moment: pg_dump sees the snapshot that
the facts are read from.
"""

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from ops.backup import tools
from ops.backup.manifest import (
    DUMP,
    SEALED_SECRETS,
    Manifest,
    SavedPool,
    fingerprints,
    saved_file,
    write_manifest,
)
from ops.backup.sealed import seal
from ops.errors import OperatorError
from services.common.postgres import Connection, load_queries

_queries: Any = load_queries(__file__)
_TABLE = re.compile(rb'dumping contents of table "public\.(\w+)"')
_LOCK_WAIT_S = 30
_LAST_WORDS = 3


class Progressed(Protocol):
    """Told how far a work is: of how many bytes, at which table."""

    def __call__(self, done: int, total: int, table: str) -> None: ...


async def make(
    postgres: asyncpg.Pool,
    dsn: str,
    folder: Path,
    secrets: Mapping[str, str],
    phrase: str | None,
    on_progress: Progressed,
) -> Manifest:
    """
    Back the database up into *folder*, which is not there yet, or empty.

    Args:
        secrets: Of the installation; their fingerprints are noted.
        phrase: The secrets are in the backup, under this passphrase; None: they are not.

    Raises:
        OperatorError: It could not be made; then there is none.
    """
    major = await _queries.server_version(postgres) // 10_000
    program = tools.program("pg_dump", major)
    with _place(folder) as place:
        async with (
            postgres.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            snapshot = await _queries.export_snapshot(connection)
            manifest = await _facts(connection, secrets)
            await _dump(program, dsn, snapshot, place / DUMP, manifest.tables, on_progress)
        if phrase is not None:
            (place / SEALED_SECRETS).write_bytes(seal(secrets, phrase))
        files = {file.name: saved_file(file) for file in sorted(place.iterdir())}
        manifest = manifest.model_copy(update={"files": files})
        write_manifest(place, manifest)
        _move(place, folder)
    return manifest


@contextmanager
def _place(folder: Path) -> Iterator[Path]:
    """A folder beside *folder*, which is this process's alone; gone afterwards, or moved."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OperatorError(f"{folder} is there already, and not empty; name another folder")
    place = folder.with_name(f"{folder.name}.part")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OperatorError(f"Another backup is being written to {place}") from error
        for left in place.iterdir():  # by one that was broken off
            left.unlink()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
    finally:
        os.close(descriptor)


def _move(place: Path, folder: Path) -> None:
    """All that is in *place* is on the disk before it has its name."""
    for path in [*place.iterdir(), place]:
        _sync(path)
    place.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _facts(connection: Connection, secrets: Mapping[str, str]) -> Manifest:
    return Manifest(
        **await _queries.facts(connection),
        kuji=version("kuji-platform"),
        pools=tuple([SavedPool(**row) async for row in _queries.pools(connection)]),
        tables={row["name"]: row["bytes"] async for row in _queries.tables(connection)},
        secrets=fingerprints(secrets),
        files={},
    )


async def _dump(
    program: str,
    dsn: str,
    snapshot: str,
    file: Path,
    tables: Mapping[str, int],
    on_progress: Progressed,
) -> None:
    options = ["--format=custom", f"--snapshot={snapshot}", f"--file={file}", "--verbose"]
    bounds = [f"--lock-wait-timeout={_LOCK_WAIT_S}s", "--no-password"]
    process = tools.start([program, *options, *bounds], dsn)
    total, done, current = sum(tables.values()), 0, ""
    words: list[str] = []
    try:
        assert process.stderr is not None
        while line := await asyncio.to_thread(process.stderr.readline):
            if found := _TABLE.search(line):
                done, current = done + tables.get(current, 0), found[1].decode()
                on_progress(done, total, current)
            words = [*words, line.decode(errors="replace").strip()][-_LAST_WORDS:]
        if await asyncio.to_thread(process.wait):
            raise OperatorError(f"pg_dump failed: {'; '.join(words)}")
    finally:
        process.kill()
        process.wait()
    on_progress(total, total, "")
