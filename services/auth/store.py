"""Where the auth service keeps things: users, refresh tokens and signing keys in Postgres."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from services.common.context import Role
from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)
_NETWORKS_OF_USER = 20
_GENERATION_KEPT_S = 25 * 3600.0  # no access token lives for longer


@dataclass(frozen=True, slots=True)
class UserRow:
    """
    A user, as logging in needs it.

    Args:
        password_hash: As argon2 encodes it.
        generation: Of the tokens that the account gets; those of one before it are over.
        is_active: False after its deactivation.
    """

    user_id: int
    username: str
    password_hash: str
    role: Role
    generation: int
    is_active: bool


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


class Turn(NamedTuple):
    """A refresh token's owner and login."""

    user: UserRow
    family: UUID


class Successor(NamedTuple):
    """What a refresh token was spent for, and the 32 bytes that it was derived from."""

    turn: Turn
    nonce: bytes


@dataclass(frozen=True, slots=True)
class SessionRow:
    """
    A login that goes on.

    Args:
        family: Its name.
        created_at: When the user logged in.
        last_used_at: When it was refreshed last, or opened.
        user_agent: What the client said to be then; empty where that is not known.
    """

    family: UUID
    created_at: datetime
    last_used_at: datetime
    user_agent: str


class UserStore:
    """Users."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, username: str, password_hash: str, email: str) -> UserRow | None:
        """The new user, or None where the name is taken in this or another case."""
        return _user_of(
            await _queries.add_user(
                self._pool, username=username, password_hash=password_hash, email=email
            )
        )

    async def find(self, username: str) -> UserRow | None:
        """The user of that name, in any case."""
        return _user_of(await _queries.find_user(self._pool, username=username))

    async def profile(self, user_id: int) -> Profile | None:
        """What the user sees of itself."""
        row = await _queries.get_profile(self._pool, user_id=user_id)
        return Profile(*row) if row else None

    async def replace_password_hash(self, user: UserRow, new_hash: str) -> UserRow:
        """Store *new_hash*, unless the hash in *user* is no longer the stored one; the user."""
        await _queries.replace_password_hash(
            self._pool, user_id=user.user_id, old_hash=user.password_hash, new_hash=new_hash
        )
        return replace(user, password_hash=new_hash)

    async def change_password(self, user: UserRow, new_hash: str) -> UserRow | None:
        """
        Store *new_hash*, and end every login and access token of the user, in one transaction.

        Returns:
            The user as it is now; None where the hash in *user* is no longer the stored one.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            generation: int | None = await _queries.change_password(
                connection, user_id=user.user_id, old_hash=user.password_hash, new_hash=new_hash
            )
            if generation is None:
                return None
            await _end_logins(connection, user.user_id, generation)
        return replace(user, password_hash=new_hash, generation=generation)

    async def end_logins(self, user_id: int) -> None:
        """End every login and access token of a user."""
        async with self._pool.acquire() as connection, connection.transaction():
            await end_logins_within(connection, user_id)

    async def set_admin(self, username: str, password_hash: str) -> None:
        """Create this administrator, or make the user of that name one; end its logins."""
        async with self._pool.acquire() as connection, connection.transaction():
            user_id, generation = await _queries.set_admin(
                connection, username=username, password_hash=password_hash
            )
            await _end_logins(connection, user_id, generation)


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

    async def remember(self, user: UserRow, network: str) -> None:
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
    """
    Refresh tokens, known by their SHA-256 (32 bytes) alone, and the logins that they are of.

    Args:
        access_ttl_s: Life of an access token: how long a login that was ended must be known.
    """

    def __init__(self, pool: asyncpg.Pool, access_ttl_s: float) -> None:
        self._pool = pool
        self._kept_s = access_ttl_s

    async def open(
        self, token_hash: bytes, family: UUID, user: UserRow, ttl_s: float, user_agent: str
    ) -> bool:
        """
        Store the first token of a login.

        Returns:
            False where meanwhile *user* was deactivated, or all its logins were ended.
        """
        opened: bool | None = await _queries.open_login(
            self._pool,
            token_hash=token_hash,
            family=family,
            user_id=user.user_id,
            generation=user.generation,
            ttl_s=ttl_s,
            user_agent=user_agent,
        )
        return bool(opened)

    async def rotate(
        self, token_hash: bytes, next_hash: bytes, nonce: bytes, ttl_s: float
    ) -> Turn | None:
        """
        Spend a token for the next one, atomically; None where it cannot be spent.

        Args:
            nonce: 32 bytes that the next one was derived from, kept for unspent_successor.
        """
        return _turn_of(
            await _queries.rotate_refresh_token(
                self._pool, token_hash=token_hash, next_hash=next_hash, nonce=nonce, ttl_s=ttl_s
            )
        )

    async def unspent_successor(self, token_hash: bytes, grace_s: float) -> Successor | None:
        """What the token was spent for at most *grace_s* ago, unless that is spent or revoked."""
        row = await _queries.get_unspent_successor(
            self._pool, token_hash=token_hash, grace_s=grace_s
        )
        turn = _turn_of(row)
        return Successor(turn, row["derivation_nonce"]) if turn else None

    async def forget_derivations(self, grace_s: float, at_most: int) -> int:
        """Forget what up to *at_most* tokens older than *grace_s* were derived from; how many."""
        emptied: int = await _queries.forget_derivations(
            self._pool, grace_s=grace_s, at_most=at_most
        )
        return emptied

    async def revoke_family_of_spent(self, token_hash: bytes) -> int:
        """Revoke the family of a token that was spent before; how many were revoked."""
        revoked: int = await _queries.revoke_family_of_spent(
            self._pool, token_hash=token_hash, kept_s=self._kept_s
        )
        return revoked

    async def revoke_family(self, token_hash: bytes, user_id: int) -> None:
        """Revoke the login that this token of this user belongs to; nothing where there is none."""
        await _queries.revoke_family(self._pool, token_hash=token_hash, user_id=user_id)

    async def list_sessions(self, user_id: int, at_most: int) -> list[SessionRow]:
        """The user's logins that go on, up to *at_most* of those used last."""
        rows = _queries.list_sessions(self._pool, user_id=user_id, at_most=at_most)
        return [SessionRow(*row) async for row in rows]

    async def revoke_session(self, family: UUID, user_id: int) -> bool:
        """End a login of this user, its access tokens too; whether there was one that went on."""
        revoked: bool | None = await _queries.revoke_session(
            self._pool, family=family, user_id=user_id, kept_s=self._kept_s
        )
        return bool(revoked)

    async def forget_ended_tokens(self) -> None:
        """Forget access tokens that were ended early and have expired since."""
        await _queries.delete_ended_tokens(self._pool)

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


def _user_of(row: asyncpg.Record | None) -> UserRow | None:
    if row is None:
        return None
    return UserRow(
        row["id"],
        row["username"],
        row["password_hash"],
        Role(row["role"]),
        row["token_generation"],
        row["is_active"],
    )


def _turn_of(row: asyncpg.Record | None) -> Turn | None:
    user = _user_of(row)
    return Turn(user, row["family"]) if user and row else None


async def end_logins_within(connection: Connection, user_id: int) -> None:
    """End every login and access token of a user, as part of a transaction."""
    generation = await _queries.raise_generation(connection, user_id=user_id)
    if generation is not None:
        await _end_logins(connection, user_id, generation)


async def _end_logins(connection: Connection, user_id: int, generation: int) -> None:
    # After the account's row is locked: a login that is being opened is seen, or sees that.
    await _queries.revoke_logins(connection, user_id=user_id)
    await _queries.end_generations(
        connection, user_id=user_id, below=generation, kept_s=_GENERATION_KEPT_S
    )
