"""Access tokens: who may have one, and what it says. services.common.tokens verifies them."""

import hmac
import re
import time
import uuid
from collections.abc import Callable

import jwt

from services.auth.credentials import (
    MAX_SERVICE_LENGTH,
    MAX_SERVICE_SECRET_LENGTH,
    check_length,
)
from services.auth.keys import KeyRing
from services.common.context import Caller, Role
from services.common.errors import BadCredentialsError, InvalidArgumentError
from services.common.tokens import ALGORITHM, AUDIENCE, ISSUER

_SERVICE = re.compile(f"[A-Za-z0-9-]{{1,{MAX_SERVICE_LENGTH}}}")


class AccessTokens:
    """Signs access tokens with the ring's current key."""

    def __init__(self, ring: KeyRing, now: Callable[[], float] = time.time) -> None:
        self._ring = ring
        self._now = now

    def issue(self, caller: Caller, ttl_s: int) -> str:
        """A JWT that stands for *caller* for *ttl_s* seconds."""
        key = self._ring.signing_key()
        issued_at = int(self._now())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(caller.user_id),
            "name": caller.username,
            "role": caller.role.value,
            "iat": issued_at,
            "exp": issued_at + ttl_s,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.kid})


class ServiceDoor:
    """Lets services in that know the service secret."""

    def __init__(self, secret: str, tokens: AccessTokens, ttl_s: int) -> None:
        self._secret = secret.encode()
        self._tokens = tokens
        self.ttl_s = ttl_s

    def token_for(self, service: str, secret: str) -> str:
        """
        An access token with the service role, living *ttl_s* seconds.

        Raises:
            InvalidArgumentError: The name is not 1…64 of letters, digits, "-"; or the secret is
                longer than any.
            BadCredentialsError: The secret is another.
        """
        if not _SERVICE.fullmatch(service):
            raise InvalidArgumentError(
                "service", "A service's name has 1 to 64 letters, digits or '-'."
            )
        check_length("secret", secret, MAX_SERVICE_SECRET_LENGTH)
        if not hmac.compare_digest(secret.encode("utf-8", "surrogatepass"), self._secret):
            raise BadCredentialsError("The service secret is wrong.")
        return self._tokens.issue(Caller(0, service, Role.SERVICE), self.ttl_s)
