"""
Accounts from a CSV file: username, password_hash and perhaps email, with their names on the first
line. Each account is on a line of its own.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import asyncpg

from services.auth.credentials import check_email, check_username
from services.auth.hashes import UnknownHashError, parse_hash
from services.common.errors import InvalidArgumentError
from services.common.postgres import load_queries
from services.common.tasks import end_if_cancelled

BATCH = 2000
MAX_LINE_LENGTH = 4096
_REQUIRED = ("username", "password_hash")
_OPTIONAL = ("email",)

_queries = load_queries(__file__)


class HeaderError(Exception):
    """The first line does not say what the columns are."""


class Entry(NamedTuple):
    """An account on line *line* of the file."""

    line: int
    username: str
    password_hash: str
    email: str


class BadLine(NamedTuple):
    """A line that is left out, and why."""

    line: int
    reason: str


class Reader:
    """
    Reads entries from the lines of a file.

    Args:
        lines: What is not UTF-8 in them is surrogate-escaped; MAX_LINE_LENGTH and a little are
            enough of a longer one.

    Raises:
        HeaderError: As the name says.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._columns = _columns_of(next(self._lines, ""))

    def read(self) -> Iterator[Entry | BadLine]:
        """What each line says; empty ones say nothing."""
        for number, line in enumerate(self._lines, start=2):
            if line.strip():
                yield self._entry_of(number, line)

    def _entry_of(self, number: int, line: str) -> Entry | BadLine:
        try:
            fields = _fields_of(line)
            if len(fields) != len(self._columns):
                found, expected = len(fields), len(self._columns)
                return BadLine(number, f"it has {found} fields instead of {expected}")
            entry = dict(zip(self._columns, fields, strict=True))
            check_username(entry["username"])
            check_email(entry.setdefault("email", ""))
            parse_hash(entry["password_hash"])
        except (UnknownHashError, _UnreadableError, InvalidArgumentError) as error:
            return BadLine(number, str(error))
        return Entry(number, entry["username"], entry["password_hash"], entry["email"])


class Importer:
    """Puts entries into the database; what is there already stays as it is."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, entries: Sequence[Entry]) -> tuple[int, list[BadLine]]:
        """
        Add accounts, in one transaction.

        Returns:
            How many were added; the lines whose name is another's: of an account, or of an entry
            before, that has another e-mail address.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            added: int = await _queries.import_accounts(
                connection,
                usernames=[entry.username for entry in entries],
                password_hashes=[entry.password_hash for entry in entries],
                emails=[entry.email for entry in entries],
            )
            taken = _queries.list_taken_names(
                connection,
                lines=[entry.line for entry in entries],
                usernames=[entry.username for entry in entries],
                emails=[entry.email for entry in entries],
            )
            bad = [BadLine(row["line"], _TAKEN) async for row in taken]
        end_if_cancelled()
        return added, bad


_TAKEN = "the username is taken by an account with another e-mail address"


class _UnreadableError(Exception):
    """A line is not what a line can be."""


def _fields_of(line: str) -> list[str]:
    if len(line) > MAX_LINE_LENGTH:
        raise _UnreadableError(f"it is longer than {MAX_LINE_LENGTH} characters")
    if not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line):
        raise _UnreadableError("it is not UTF-8")
    if "\0" in line:
        raise _UnreadableError("it holds a NUL character")
    try:
        (fields,) = csv.reader([line.rstrip("\r\n")], strict=True)
    except (csv.Error, ValueError) as error:
        raise _UnreadableError("its quotes do not match") from error
    return [field.strip() for field in fields]


def _columns_of(line: str) -> list[str]:
    try:
        columns = _fields_of(line.removeprefix("\ufeff"))
    except _UnreadableError as error:
        raise HeaderError(f"line 1 does not name the columns: {error}") from error
    unknown = [name for name in columns if name not in (*_REQUIRED, *_OPTIONAL)]
    if unknown or len(set(columns)) < len(columns) or not set(_REQUIRED) <= set(columns):
        raise HeaderError(
            "line 1 names the columns, which are username, password_hash and, if you like, email; "
            f"it says: {', '.join(columns)[:200]}"
        )
    return columns
