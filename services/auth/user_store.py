"""Users in Postgres, and where they have logged in from."""

from dataclasses import dataclass, replace
from datetime import datetime

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


class UserStore:
    """Users."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, username: str, password_hash: str, email: str) -> UserRow | None:
        """The new user, or None where the name is taken in this or another case."""
        return user_of(
            await _queries.add_user(
                self._pool, username=username, password_hash=password_hash, email=email
            )
        )

    async def find(self, username: str) -> UserRow | None:
        """The user of that name, in any case."""
        return user_of(await _queries.find_user(self._pool, username=username))

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


def user_of(row: asyncpg.Record | None) -> UserRow | None:
    """The user that a row is of; None without one."""
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
