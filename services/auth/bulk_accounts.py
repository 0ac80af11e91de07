"""
Accounts for load tests, by the million.

All accounts of a prefix share one password and one hash of it, computed once, at the cost of any
other: so they are cheap to make, and no real hash is weaker for it. They come in by COPY, in
chunks; how far it is stands in the transaction of each chunk, so that a run which is broken off,
anywhere, goes on and makes none twice. Several at once make the chunks between them.
"""

from collections.abc import AsyncIterator, Callable

import asyncpg
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from services.auth.credentials import check_password, is_username
from services.auth.passwords import Argon2Cost, bytes_of
from services.common.postgres import Connection, load_queries
from services.common.tasks import end_if_cancelled

CHUNK = 50_000
_BLOCK = 1000  # rows in one message of the COPY

_queries = load_queries(__file__)

# Called with how many accounts of the prefix there are.
OnProgress = Callable[[int], None]


class OtherPasswordError(Exception):
    """Accounts of this prefix exist already, with another password."""


class BulkAccounts:
    """
    The accounts *prefix* 1, *prefix* 2, ….

    Args:
        cost: Of the one hash.
    """

    def __init__(self, pool: asyncpg.Pool, prefix: str, cost: Argon2Cost) -> None:
        self._pool = pool
        self._prefix = prefix
        self._hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes
        )
        self.taken = 0  # names that somebody else has, so far

    async def create(self, count: int, password: str, on_progress: OnProgress) -> int:
        """
        Make those of the first *count* that are missing.

        Returns:
            How many accounts of the prefix there were before.

        Raises:
            ValueError: Prefix and number make no username.
            InvalidArgumentError: The password breaks its rule.
            OtherPasswordError: Some exist already, with another password.
        """
        check_password(password)
        if not is_username(f"{self._prefix}{count}") or not is_username(f"{self._prefix}1"):
            raise ValueError(f"{self._prefix}{count} is no username")
        before = await self._begin(password)
        on_progress(before)
        done = before
        while done < count:
            done = await self._create_chunk(count)
            end_if_cancelled()
            on_progress(done)
        return before

    async def _begin(self, password: str) -> int:
        known = await _queries.get_bulk_accounts(self._pool, prefix=self._prefix)
        if known is None:
            await _queries.begin_bulk_accounts(
                self._pool, prefix=self._prefix, password_hash=self._hasher.hash(bytes_of(password))
            )
            known = await _queries.get_bulk_accounts(self._pool, prefix=self._prefix)
        created, password_hash = known
        try:
            self._hasher.verify(password_hash, bytes_of(password))
        except VerifyMismatchError:
            raise OtherPasswordError(self._prefix) from None
        return int(created)

    async def _create_chunk(self, count: int) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            done: int
            done, password_hash = await _queries.lock_bulk_accounts(connection, prefix=self._prefix)
            last = min(done + CHUNK, count)
            if last <= done:
                return done
            await self._add(connection, done + 1, last, password_hash)
            await _queries.note_bulk_accounts(connection, prefix=self._prefix, created=last)
        return last

    async def _add(self, connection: Connection, first: int, last: int, password_hash: str) -> None:
        try:
            async with connection.transaction():
                await connection.copy_to_table(
                    "accounts",
                    columns=["username", "password_hash"],
                    source=_rows(self._prefix, first, last, password_hash),
                )
        except asyncpg.UniqueViolationError:  # somebody registered under one of these names
            added: int = await _queries.add_missing_bulk_accounts(
                connection,
                prefix=self._prefix,
                first=first,
                last=last,
                password_hash=password_hash,
            )
            self.taken += last - first + 1 - added


async def _rows(prefix: str, first: int, last: int, password_hash: str) -> AsyncIterator[bytes]:
    # Neither holds anything that COPY would have escaped.
    tail = f"\t{password_hash}\n"
    for start in range(first, last + 1, _BLOCK):
        stop = min(start + _BLOCK, last + 1)
        yield "".join([f"{prefix}{number}{tail}" for number in range(start, stop)]).encode()
