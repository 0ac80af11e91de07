"""Sessions: an access token for minutes, and a refresh token that buys the next one."""

import base64
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from prometheus_client import Counter

from services.auth.access_tokens import AccessTokens
from services.auth.login_store import RefreshTokenStore, SessionRow, Turn
from services.auth.user_store import UserRow
from services.common.context import Caller
from services.common.errors import (
    BadCredentialsError,
    NotFoundError,
    UnauthenticatedError,
    UserBlockedError,
)

REUSED = Counter("kuji_auth_refresh_tokens_reused", "Logins revoked since a spent token came back")
_TOKEN_BYTES = 32
_CLEANUP_BATCH = 1000
_LISTED = 100
_NO_SESSION = "There is no such session."
_DEACTIVATED = "This account is deactivated."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Session:
    """
    A logged-in user's tokens.

    Args:
        user: Who.
        access_token: JWT.
        refresh_token: 32 unpredictable bytes, URL-safe base64; to be spent once.
        expires_in_s: Life of the access token.
    """

    user: UserRow
    access_token: str
    refresh_token: str
    expires_in_s: int


class OpenSession(NamedTuple):
    """A login that goes on, and whether it is the one that the caller's own token is of."""

    row: SessionRow
    is_current: bool


class Sessions:
    """
    Opens, refreshes and closes sessions.

    Args:
        access_ttl_s: Life of an access token.
        refresh_ttl_s: Life of a refresh token.
        grace_s: How long a spent refresh token buys the same successor again.
    """

    def __init__(
        self,
        store: RefreshTokenStore,
        tokens: AccessTokens,
        access_ttl_s: int,
        refresh_ttl_s: float,
        grace_s: float,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._access_ttl_s = access_ttl_s
        self._refresh_ttl_s = refresh_ttl_s
        self._grace_s = grace_s

    async def open(self, user: UserRow, user_agent: str) -> Session:
        """
        The first session of a login.

        Raises:
            UserBlockedError: The account is deactivated.
            BadCredentialsError: All its logins were ended since its credentials were checked.
        """
        if not user.is_active:
            raise UserBlockedError(_DEACTIVATED)
        turn = Turn(user, uuid.uuid4())
        refresh_token = secrets.token_urlsafe(_TOKEN_BYTES)
        if not await self._store.open(
            _sha256(refresh_token), turn.family, user, self._refresh_ttl_s, user_agent
        ):
            raise BadCredentialsError
        return self._session(turn, refresh_token)

    async def refresh(self, refresh_token: str) -> Session:
        """
        The next session of a login; *refresh_token* is spent by it.

        Two at once, or one whose answer was lost, get the same refresh token: for *grace_s*,
        and as long as that one is not spent.

        Raises:
            InvalidArgumentError: It is longer than any.
            UnauthenticatedError: Unknown, expired, revoked or spent. A spent one revokes the
                whole login: one of its two users is a thief.
        """
        token_hash, nonce = _sha256(refresh_token), secrets.token_bytes(_TOKEN_BYTES)
        next_token = _successor_of(refresh_token, nonce)
        turn = await self._store.rotate(token_hash, _sha256(next_token), nonce, self._refresh_ttl_s)
        if turn is None:
            return await self._refresh_again(refresh_token, token_hash)
        return self._session(turn, next_token)

    async def close(self, refresh_token: str, user_id: int) -> None:
        """End the user's login that *refresh_token* belongs to; a token unknown is no error."""
        await self._store.revoke_family(_sha256(refresh_token), user_id)

    async def list(self, caller: Caller) -> list[OpenSession]:
        """The caller's logins that go on: the hundred used last, the newest first."""
        rows = await self._store.list_sessions(caller.user_id, _LISTED)
        return [OpenSession(row, str(row.family) == caller.session_id) for row in rows]

    async def revoke(self, session_id: str, caller: Caller) -> None:
        """
        End a login of the caller, its access tokens too.

        Raises:
            NotFoundError: The caller has no such login, or none that goes on.
        """
        try:
            family = uuid.UUID(session_id)
        except ValueError:
            raise NotFoundError(_NO_SESSION) from None
        if not await self._store.revoke_session(family, caller.user_id):
            raise NotFoundError(_NO_SESSION)

    async def delete_expired(self) -> None:
        """Delete expired refresh tokens, and what others were derived from; in batches."""
        await self._store.forget_ended_tokens()
        while await self._store.delete_expired(_CLEANUP_BATCH) == _CLEANUP_BATCH:
            pass
        while await self._store.forget_derivations(self._grace_s, _CLEANUP_BATCH) == _CLEANUP_BATCH:
            pass

    async def _refresh_again(self, refresh_token: str, token_hash: bytes) -> Session:
        successor = await self._store.unspent_successor(token_hash, self._grace_s)
        if successor is None:
            await self._revoke_if_spent(token_hash)
            raise UnauthenticatedError("The refresh token is not valid (any more). Log in again.")
        return self._session(successor.turn, _successor_of(refresh_token, successor.nonce))

    async def _revoke_if_spent(self, token_hash: bytes) -> None:
        revoked = await self._store.revoke_family_of_spent(token_hash)
        if revoked:
            REUSED.inc()
            log.warning("spent refresh token came back", revoked=revoked)

    def _session(self, turn: Turn, refresh_token: str) -> Session:
        user = turn.user
        caller = Caller(user.user_id, user.username, user.role, str(turn.family), user.generation)
        access_token = self._tokens.issue(caller, self._access_ttl_s)
        return Session(user, access_token, refresh_token, self._access_ttl_s)


def _successor_of(refresh_token: str, nonce: bytes) -> str:
    # Derived, so that it can be given again without being stored. The key is the token itself,
    # which its owner alone has: the database does not lead from one token to the next.
    key = refresh_token.encode("utf-8", "surrogatepass")
    mac = hmac.digest(key, b"kuji refresh token" + nonce, "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
