"""Access tokens: who may have one, and what it says. services.common.tokens verifies them."""

import time
import uuid
from collections.abc import Callable

import jwt

from services.auth.keys import KeyRing
from services.common.context import Caller
from services.common.tokens import AUDIENCE, ISSUER


class AccessTokens:
    """Signs access tokens with the ring's current key."""

    def __init__(self, ring: KeyRing, now: Callable[[], float] = time.time) -> None:
        self._ring = ring
        self._now = now

    def issue(self, caller: Caller, ttl_s: int) -> str:
        """A JWT that stands for *caller* for *ttl_s* seconds."""
        key = self._ring.signing_key()
        claims = claims_of(caller, int(self._now()), ttl_s, uuid.uuid4().hex)
        return jwt.encode(claims, key.pair.private, key.pair.algorithm, headers={"kid": key.kid})


def claims_of(caller: Caller, issued_at: int, ttl_s: int, jti: str) -> dict[str, object]:
    """What the access token *jti* of *caller* says; times in Unix seconds."""
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(caller.user_id),
        "name": caller.username,
        "role": caller.role.value,
        "sid": caller.session_id,
        "gen": caller.generation,
        "iat": issued_at,
        "exp": issued_at + ttl_s,
        "jti": jti,
    }
