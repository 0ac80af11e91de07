"""Signing keys in Postgres."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.common.postgres import load_queries

_queries = load_queries(__file__)


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
    """

    kid: str
    public_jwk: str
    private_key: bytes
    created_at: datetime
    not_after: datetime | None


class KeyStore:
    """Signing keys."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def list(self) -> list[KeyRow]:
        """Every key that has not expired, oldest first."""
        return [KeyRow(*row) async for row in _queries.list_signing_keys(self._pool)]

    async def add_first(self, kid: str, public_jwk: str, private_key: bytes) -> None:
        """Add a key unless there is one already; of several processes at once, one adds."""
        async with self._pool.acquire() as connection, connection.transaction():
            await _queries.lock_signing_keys(connection)
            await _queries.add_first_signing_key(
                connection, kid=kid, public_jwk=public_jwk, private_key=private_key
            )

    async def rotate(
        self, kid: str, public_jwk: str, private_key: bytes, retire_after_s: float
    ) -> None:
        """Add a key, and let those before it expire *retire_after_s* from now."""
        async with self._pool.acquire() as connection, connection.transaction():
            await _queries.lock_signing_keys(connection)
            await _queries.retire_signing_keys(connection, after_s=retire_after_s)
            await _queries.add_signing_key(
                connection, kid=kid, public_jwk=public_jwk, private_key=private_key
            )

    async def delete_expired(self) -> None:
        """Delete the keys that have expired."""
        await _queries.delete_expired_signing_keys(self._pool)
