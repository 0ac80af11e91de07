"""Accounts by the million: what the bulk commands do, with their progress bars."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from ops.auth import argon2_cost, open_ring
from ops.connections import OpsSettings, open_database, postgres_address
from ops.development import check_development
from ops.errors import OperatorError
from ops.terminal import complain, rate_progress
from services.auth.for_operators import (
    BATCH,
    MAX_LINE_LENGTH,
    BadLine,
    BulkAccounts,
    EdKey,
    Entry,
    HeaderError,
    Importer,
    OtherPasswordError,
    Reader,
    RsaKey,
    mint_of,
    mint_tokens,
)
from services.common.errors import InvalidArgumentError
from services.common.settings import read_settings

_PASSWORD = "load test password"  # noqa: S105  # of accounts that are for development alone


class Made(NamedTuple):
    """
    Outcome of create().

    Args:
        fresh: Accounts that were not there before.
        taken: Names that belonged to somebody else.
        password: Of all of them.
    """

    fresh: int
    taken: int
    password: str


class Imported(NamedTuple):
    """
    Outcome of import_file(): accounts by what became of them.

    Args:
        known: There already.
        bad: Left out.
    """

    lines: int
    added: int
    known: int
    bad: int


def create(count: int, prefix: str, password: str, insisted: bool) -> Made:
    """Make the first *count* test accounts of *prefix*, those that are missing."""
    settings = read_settings(OpsSettings)
    here = check_development(settings, insisted, "Test accounts")
    if not (here or password):
        raise OperatorError("Outside development, name a password with --password")
    try:
        return asyncio.run(_create(settings, count, prefix, password or _PASSWORD))
    except KeyboardInterrupt:
        complain("Broken off; the same command goes on.")
        raise SystemExit(130) from None


async def _create(settings: OpsSettings, count: int, prefix: str, password: str) -> Made:
    with rate_progress() as bar:
        task = bar.add_task("accounts", total=count)
        async with open_database(postgres_address(settings)) as postgres:
            accounts = BulkAccounts(postgres, prefix, argon2_cost())
            try:
                before = await accounts.create(
                    count, password, lambda done: bar.update(task, completed=min(done, count))
                )
            except ValueError as error:
                raise OperatorError(f"Choose another prefix: {error}") from error
            except InvalidArgumentError as error:
                raise OperatorError(str(error)) from error
            except OtherPasswordError:
                raise OperatorError(
                    f"There are accounts {prefix}… with another password: name it with --password, "
                    "or choose another prefix"
                ) from None
    return Made(max(count - before, 0) - accounts.taken, accounts.taken, password)


@dataclass(frozen=True)
class Minting:
    """
    Which access tokens to make.

    Args:
        count: How many.
        prefix: Of users whose names begin so.
        ttl_s: Their life.
        as_logins: Whether the key that signs logins signs them.
    """

    count: int
    prefix: str
    ttl_s: int
    as_logins: bool = False


def mint(wanted: Minting, file: Path, insisted: bool) -> None:
    """Write the tokens that are *wanted* into *file*, all of them or none."""
    settings = read_settings(OpsSettings)
    check_development(settings, insisted, "Tokens in a file")
    with _written_whole(file) as stream:
        asyncio.run(_mint(settings, wanted, stream))


async def _mint(settings: OpsSettings, wanted: Minting, stream: IO[bytes]) -> None:
    done = 0
    with rate_progress() as bar:
        task = bar.add_task("tokens", total=wanted.count)
        async with open_database(postgres_address(settings)) as postgres:
            ring = await open_ring(postgres, settings)
            key = ring.signing_key((RsaKey if wanted.as_logins else EdKey).algorithm)
            tokens = mint_tokens(postgres, mint_of(key, wanted.ttl_s), wanted.prefix, wanted.count)
            async for number, lines in tokens:
                stream.write(lines)
                done += number
                bar.update(task, completed=done)
    if done < wanted.count:
        raise OperatorError(f"There are {done} such users only: make more with `kuji users create`")


@contextmanager
def _written_whole(file: Path) -> Iterator[IO[bytes]]:
    """A stream for the owner's eyes, which becomes *file* when all went well."""
    fresh = file.with_name(f"{file.name}.part")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise OperatorError(f"{fresh} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def import_file(file: Path) -> Imported:
    """Add the accounts of a CSV file, and complain of each line that is left out."""
    try:
        return asyncio.run(_import(read_settings(OpsSettings), file))
    except OSError as error:
        raise OperatorError(f"{file} cannot be read: {error.strerror}") from error


async def _import(settings: OpsSettings, file: Path) -> Imported:
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        try:
            reader = Reader(_lines_of(stream))
        except HeaderError as error:
            raise OperatorError(f"{file}: {error}") from error
        async with open_database(postgres_address(settings)) as postgres:
            with rate_progress() as bar:
                task = bar.add_task("accounts", total=None)
                tally = _Tally(Importer(postgres))
                for item in reader.read():
                    await tally.count(item)
                    bar.update(task, completed=tally.lines)
                await tally.flush()
    return Imported(tally.lines, tally.added, tally.lines - tally.added - tally.bad, tally.bad)


class _Tally:
    """Hands entries on in batches, and counts what became of them."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer
        self._batch: list[Entry] = []
        self.lines = self.added = self.bad = 0

    async def count(self, item: Entry | BadLine) -> None:
        """Take the next one."""
        self.lines += 1
        if isinstance(item, BadLine):
            self._leave_out(item)
            return
        self._batch.append(item)
        if len(self._batch) == BATCH:
            await self.flush()

    async def flush(self) -> None:
        """Add what waits to be added."""
        if self._batch:
            added, taken = await self._importer.add(self._batch)
            self.added += added
            for line in taken:
                self._leave_out(line)
            self._batch.clear()

    def _leave_out(self, line: BadLine) -> None:
        self.bad += 1
        complain(f"line {line.line}: {line.reason}")


def _lines_of(stream: IO[str]) -> Iterator[str]:
    # Of a line that is too long its beginning is enough to say so.
    while line := stream.readline(MAX_LINE_LENGTH + 2):
        rest = line
        while rest and not rest.endswith(("\n", "\r")):
            rest = stream.readline(MAX_LINE_LENGTH + 2)
        yield line
