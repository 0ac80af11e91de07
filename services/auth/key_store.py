"""Signing keys in Postgres."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from services.auth.signing import EdKey, RsaKey
from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)
# By what a key signs: each kind has a table of its own.
_ADD_FIRST = {
    EdKey.algorithm: _queries.add_first_signing_key,
    RsaKey.algorithm: _queries.add_first_login_key,
}
_ADD = {EdKey.algorithm: _queries.add_signing_key, RsaKey.algorithm: _queries.add_login_key}


@dataclass(frozen=True, slots=True)
class KeyRow:
    """
    A signing key at rest.

    Args:
        kid: Its name in token headers.
        public_jwk: The public half, JSON.
        private_key: The private half, encrypted.
        created_at: When it was published.
        not_after: Until when tokens signed by it may live; None: not retired yet.
        algorithm: What it signs by, as JOSE calls it.
    """

    kid: str
    public_jwk: str
    private_key: bytes
    created_at: datetime
    not_after: datetime | None
    algorithm: str


class NewKey(NamedTuple):
    """
    A signing key to be kept.

    Args:
        algorithm: What it signs by, as JOSE calls it.
        kid: Its name in token headers.
        public_jwk: The public half, JSON.
        private_key: The private half, encrypted.
    """

    algorithm: str
    kid: str
    public_jwk: str
    private_key: bytes


class KeyStore:
    """Signing keys."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def list(self) -> list[KeyRow]:
        """Every key that has not expired, oldest first."""
        return [KeyRow(*row) async for row in _queries.list_keys(self._pool)]

    async def add_first(self, key: NewKey) -> None:
        """Add *key* unless there is one of its kind; of several processes at once, one adds."""
        async with self._pool.acquire() as connection, connection.transaction():
            await _queries.lock_signing_keys(connection)
            await _add(_ADD_FIRST, connection, key)

    async def rotate(self, keys: Iterable[NewKey], retire_after_s: float) -> None:
        """Add *keys*, and let those before them expire *retire_after_s* from now."""
        async with self._pool.acquire() as connection, connection.transaction():
            await _queries.lock_signing_keys(connection)
            await _queries.retire_keys(connection, after_s=retire_after_s)
            for key in keys:
                await _add(_ADD, connection, key)

    async def delete_expired(self) -> None:
        """Delete the keys that have expired."""
        await _queries.delete_expired_keys(self._pool)


async def _add(queries: Mapping[str, Any], connection: Connection, key: NewKey) -> None:
    """Add *key* by the one of *queries* that is for its kind."""
    await queries[key.algorithm](
        connection, kid=key.kid, public_jwk=key.public_jwk, private_key=key.private_key
    )
