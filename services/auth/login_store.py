"""Refresh tokens in Postgres, and the logins that they are of."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from services.auth.user_store import UserRow, user_of
from services.common.postgres import load_queries

_queries = load_queries(__file__)


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


def _turn_of(row: asyncpg.Record | None) -> Turn | None:
    user = user_of(row)
    return Turn(user, row["family"]) if user and row else None
