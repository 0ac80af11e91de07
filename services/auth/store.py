"""Where the auth service keeps things: users, refresh tokens and signing keys in Postgres."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from services.common.context import Role
from services.common.postgres import load_queries

_queries = load_queries(__file__)
_NETWORKS_OF_USER = 20


@dataclass(frozen=True, slots=True)
class User:
    """A user, as logging in needs it; *password_hash* as argon2 encodes it."""

    user_id: int
    username: str
    password_hash: str
    role: Role


@dataclass(frozen=True, slots=True)
class Profile:
    """A user, as it sees itself; *last_lottery_at* is None before its first draw."""

    user_id: int
    username: str
    email: str
    last_lottery_at: datetime | None
    created_at: datetime


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


class Successor(NamedTuple):
    """Whom a token belongs to, and the 32 bytes that it was derived from."""

    user: User
    nonce: bytes


class UserStore:
    """Users."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, username: str, password_hash: str, email: str) -> User | None:
        """The new user, or None where the name is taken in this or another case."""
        return _user_of(
            await _queries.add_user(
                self._pool, username=username, password_hash=password_hash, email=email
            )
        )

    async def find(self, username: str) -> User | None:
        """The user of that name, in any case."""
        return _user_of(await _queries.find_user(self._pool, username=username))

    async def profile(self, user_id: int) -> Profile | None:
        """What the user sees of itself."""
        row = await _queries.get_profile(self._pool, user_id=user_id)
        return Profile(*row) if row else None

    async def replace_password_hash(self, user: User, new_hash: str) -> None:
        """Store *new_hash*, unless the hash in *user* is no longer the stored one."""
        await _queries.replace_password_hash(
            self._pool, user_id=user.user_id, old_hash=user.password_hash, new_hash=new_hash
        )

    async def set_admin(self, username: str, password_hash: str) -> None:
        """Create this administrator, or make the user of that name one; revoke its sessions."""
        await _queries.set_admin(self._pool, username=username, password_hash=password_hash)


class KnownNetworkStore:
    """
    Where the owners of accounts have logged in from.

    Args:
        ttl_s: How long a network is known after a login.
    """

    def __init__(self, pool: asyncpg.Pool, ttl_s: float) -> None:
        self._pool = pool
        self._ttl_s = ttl_s

    async def is_known(self, username: str, network: str) -> bool:
        """Whether the owner of that account has logged in from *network*."""
        known: bool = await _queries.is_known_network(
            self._pool, username=username, network=network, ttl_s=self._ttl_s
        )
        return known

    async def remember(self, user: User, network: str) -> None:
        """Note that the owner has logged in from *network*; the 20 newest are kept."""
        await _queries.remember_network(
            self._pool, user_id=user.user_id, network=network, at_most=_NETWORKS_OF_USER
        )

    async def delete_old(self, at_most: int) -> int:
        """Delete up to *at_most* that are not known any more; how many were deleted."""
        deleted: int = await _queries.delete_old_networks(
            self._pool, ttl_s=self._ttl_s, at_most=at_most
        )
        return deleted


class RefreshTokenStore:
    """Refresh tokens, known by their SHA-256 (32 bytes) alone."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, token_hash: bytes, family: UUID, user_id: int, ttl_s: float) -> None:
        """Store the first token of a login."""
        await _queries.add_refresh_token(
            self._pool, token_hash=token_hash, family=family, user_id=user_id, ttl_s=ttl_s
        )

    async def rotate(
        self, token_hash: bytes, next_hash: bytes, nonce: bytes, ttl_s: float
    ) -> User | None:
        """
        Spend a token for the next one, atomically; None where it cannot be spent.

        Args:
            nonce: 32 bytes that the next one was derived from, kept for unspent_successor.
        """
        return _user_of(
            await _queries.rotate_refresh_token(
                self._pool, token_hash=token_hash, next_hash=next_hash, nonce=nonce, ttl_s=ttl_s
            )
        )

    async def unspent_successor(self, token_hash: bytes, grace_s: float) -> Successor | None:
        """What the token was spent for at most *grace_s* ago, unless that is spent or revoked."""
        row = await _queries.get_unspent_successor(
            self._pool, token_hash=token_hash, grace_s=grace_s
        )
        user = _user_of(row)
        return Successor(user, row["derivation_nonce"]) if user else None

    async def forget_derivations(self, grace_s: float, at_most: int) -> int:
        """Forget what up to *at_most* tokens older than *grace_s* were derived from; how many."""
        emptied: int = await _queries.forget_derivations(
            self._pool, grace_s=grace_s, at_most=at_most
        )
        return emptied

    async def revoke_family_of_spent(self, token_hash: bytes) -> int:
        """Revoke the family of a token that was spent before; how many were revoked."""
        revoked: int = await _queries.revoke_family_of_spent(self._pool, token_hash=token_hash)
        return revoked

    async def revoke_family(self, token_hash: bytes, user_id: int) -> None:
        """Revoke the login that this token of this user belongs to; nothing where there is none."""
        await _queries.revoke_family(self._pool, token_hash=token_hash, user_id=user_id)

    async def delete_expired(self, at_most: int) -> int:
        """Delete up to *at_most* expired tokens; how many were deleted."""
        deleted: int = await _queries.delete_expired_refresh_tokens(self._pool, at_most=at_most)
        return deleted


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


def _user_of(row: asyncpg.Record | None) -> User | None:
    if row is None:
        return None
    return User(row["id"], row["username"], row["password_hash"], Role(row["role"]))
