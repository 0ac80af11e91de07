"""Refresh tokens in a real Postgres: what a busy moment and the cleanup must not break."""

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.auth.login_store import RefreshTokenStore, Turn
from services.auth.user_store import UserRow, UserStore

TTL_S = 3600.0
NONCE = bytes(32)


@pytest.fixture
async def alice(postgres: asyncpg.Pool) -> UserRow:
    """A user."""
    user = await UserStore(postgres).add("alice", "no hash", "")
    assert user is not None
    return user


@pytest.fixture
def store(postgres: asyncpg.Pool) -> RefreshTokenStore:
    """No tokens yet."""
    return RefreshTokenStore(postgres, access_ttl_s=900.0)


async def open_family(store: RefreshTokenStore, user: UserRow, token: bytes) -> UUID:
    """A login with one token."""
    family = uuid4()
    assert await store.open(token, family, user, TTL_S, "a phone")
    return family


def users_of(*turns: Turn | None) -> list[UserRow]:
    """Whose turns they are, of those that are."""
    return [turn.user for turn in turns if turn]


async def expire(postgres: asyncpg.Pool, *tokens: bytes) -> None:
    """Let these tokens have expired."""
    await postgres.execute(
        "UPDATE refresh_tokens SET expires_at = now() WHERE token_hash = ANY($1)", list(tokens)
    )


async def tokens_in(postgres: asyncpg.Pool) -> set[bytes]:
    """The tokens stored."""
    return {row["token_hash"] for row in await postgres.fetch("SELECT * FROM refresh_tokens")}


async def test_token_added_while_its_family_is_revoked_is_revoked_too(
    store: RefreshTokenStore, alice: UserRow, postgres: asyncpg.Pool
) -> None:
    """A revocation cannot see the row of a rotation in flight; that row is worth nothing still."""
    await open_family(store, alice, b"first")
    await store.rotate(b"first", b"second", NONCE, TTL_S)
    async with postgres.acquire() as connection, connection.transaction():
        # Stands in for the rotation of "second" to "third", not committed yet.
        await connection.execute(
            "INSERT INTO refresh_tokens (token_hash, family, user_id, expires_at) "
            "SELECT 'third', family, user_id, expires_at FROM refresh_tokens "
            "WHERE token_hash = 'second'"
        )
        assert await store.revoke_family_of_spent(b"first") == 2
    assert await store.rotate(b"third", b"fourth", NONCE, TTL_S) is None


async def test_one_rotation_wins_when_many_come_at_once(
    store: RefreshTokenStore, alice: UserRow
) -> None:
    """The one statement decides: one user, the rest None."""
    await open_family(store, alice, b"first")
    answers = await asyncio.gather(
        *(store.rotate(b"first", f"next {number}".encode(), NONCE, TTL_S) for number in range(8))
    )
    assert [alice] == users_of(*answers)


async def test_nothing_is_revoked_when_the_token_was_not_spent(
    store: RefreshTokenStore, alice: UserRow
) -> None:
    """Only a spent token that comes back is a theft."""
    await open_family(store, alice, b"first")
    assert await store.revoke_family_of_spent(b"first") == 0
    assert await store.revoke_family_of_spent(b"unknown") == 0
    assert [alice] == users_of(await store.rotate(b"first", b"second", NONCE, TTL_S))


async def test_cleanup_deletes_what_has_expired_in_batches(
    store: RefreshTokenStore, alice: UserRow, postgres: asyncpg.Pool
) -> None:
    """At most as many as asked for at a time; living tokens stay."""
    for token in (b"a", b"b", b"c", b"living"):
        await open_family(store, alice, token)
    await expire(postgres, b"a", b"b", b"c")
    assert [await store.delete_expired(2) for _ in range(3)] == [2, 1, 0]
    assert {b"living"} == await tokens_in(postgres)


async def test_cleanup_keeps_a_revoked_token_while_its_family_lives(
    store: RefreshTokenStore, alice: UserRow, postgres: asyncpg.Pool
) -> None:
    """Deleting it would bring the rest of a revoked login back to life."""
    await open_family(store, alice, b"first")
    await store.rotate(b"first", b"second", NONCE, TTL_S)
    await postgres.execute(
        "UPDATE refresh_tokens SET revoked_at = now() WHERE spent_at > '-infinity'"
    )
    await expire(postgres, b"first")
    assert await store.delete_expired(10) == 0
    assert await store.rotate(b"second", b"third", NONCE, TTL_S) is None
    await expire(postgres, b"second")
    assert await store.delete_expired(10) == 2


async def derivations_in(postgres: asyncpg.Pool) -> set[bytes]:
    """The tokens that can be derived again."""
    rows = await postgres.fetch(
        "SELECT token_hash FROM refresh_tokens "
        "WHERE parent_hash IS NOT NULL OR derivation_nonce IS NOT NULL"
    )
    return {row["token_hash"] for row in rows}


async def test_derivations_are_forgotten_when_the_grace_is_over(
    store: RefreshTokenStore, alice: UserRow, postgres: asyncpg.Pool
) -> None:
    """In batches, oldest or not; one that may still be asked for stays, and so does its token."""
    for number in range(3):
        await open_family(store, alice, b"first %d" % number)
        await store.rotate(b"first %d" % number, b"second %d" % number, NONCE, TTL_S)
    await postgres.execute(
        "UPDATE refresh_tokens SET created_at = now() - interval '11 s' "
        "WHERE token_hash <> 'second 2'"
    )
    assert [await store.forget_derivations(10.0, 1) for _ in range(3)] == [1, 1, 0]
    assert {b"second 2"} == await derivations_in(postgres)
    successor = await store.unspent_successor(b"first 2", 10.0)
    assert successor is not None
    assert (alice, NONCE) == (successor.turn.user, successor.nonce)
    assert [alice] == users_of(await store.rotate(b"second 0", b"third", NONCE, TTL_S))
