"""Access tokens: signed JWTs (EdDSA), verified everywhere against the auth service's keys."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import jwt
from cachetools import LRUCache
from google.api import httpbody_pb2
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from prometheus_client import Counter

from services.common.context import Caller, Role
from services.common.ended_tokens import EndedTokens
from services.common.errors import UnauthenticatedError
from services.common.keyset import FetchJwks, Jwks, KeySet
from services.common.settings import ServiceSettings

CHECKED = Counter("kuji_tokens_checked", "Tokens not seen before, whose signature was checked")
ALGORITHM = "EdDSA"
ISSUER = "kuji"
AUDIENCE = "kuji"
_CACHED_TOKENS = 65_536
_MAX_TOKEN_LENGTH = 4096


def fetch_jwks_from(channel: grpc.aio.Channel) -> FetchJwks:
    """A fetcher of the auth service's key set over *channel*."""
    stub = auth_pb2_grpc.AuthServiceStub(channel)

    async def fetch() -> Jwks:
        body: httpbody_pb2.HttpBody = await stub.GetJwks(auth_pb2.GetJwksRequest(), timeout=5.0)
        keys: Jwks = json.loads(body.data)
        return keys

    return fetch


class TokenVerifier:
    """
    Verifies access tokens; remembers those it has verified until they expire.

    Args:
        fetch_jwks: Gets the auth service's key set.
        now: Unix seconds.
        copy: See KeySet.
        ended: Tokens that are over before they expire.
    """

    def __init__(
        self,
        fetch_jwks: FetchJwks,
        now: Callable[[], float] = time.time,
        copy: Path | None = None,
        ended: EndedTokens | None = None,
    ) -> None:
        self._keys = KeySet(fetch_jwks, copy, now)
        self._ended = ended or EndedTokens()
        self._now = now
        self._verified: LRUCache[str, tuple[Caller, float]] = LRUCache(_CACHED_TOKENS)

    async def verify(self, token: str) -> Caller:
        """
        Who *token* stands for.

        Raises:
            UnauthenticatedError: It is not good, or not any more.
            UnavailableError: Its key is not known here, and the auth service cannot be asked.
        """
        caller = self.verified(token)
        if caller is not None:
            return caller
        known = self._verified[token] = await self._decode(token)
        return self._not_over(known[0])

    def verified(self, token: str) -> Caller | None:
        """
        As verify(), of a token that was verified before; None: this one was not.

        Raises:
            UnauthenticatedError: It is over.
        """
        known = self._verified.get(token)
        if known is None or self._now() >= known[1]:
            return None
        return self._not_over(known[0])

    def _not_over(self, caller: Caller) -> Caller:
        if self._ended.include(caller):
            raise UnauthenticatedError("The access token is over. Log in again.")
        return caller

    async def _decode(self, token: str) -> tuple[Caller, float]:
        CHECKED.inc()
        if len(token) > _MAX_TOKEN_LENGTH:
            raise UnauthenticatedError("The access token is not valid.")
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            key = await self._keys.key(str(kid))
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={
                    "require": ["exp", "sub", "role"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            expires_at = float(claims["exp"])
            caller = _caller_of(claims)
        except (jwt.PyJWTError, ValueError) as error:
            raise UnauthenticatedError("The access token is not valid.") from error
        if self._now() >= expires_at:
            raise UnauthenticatedError("The access token has expired.")
        return caller, expires_at


def token_verifier(
    auth: grpc.aio.Channel, settings: ServiceSettings, ended: EndedTokens
) -> TokenVerifier:
    """A verifier that asks the auth service over *auth*, and refuses tokens that are over."""
    return TokenVerifier(fetch_jwks_from(auth), copy=settings.keys_file, ended=ended)


def _caller_of(claims: Mapping[str, Any]) -> Caller:
    return Caller(
        int(claims["sub"]),
        str(claims.get("name", "")),
        Role(claims["role"]),
        str(claims.get("sid", "")),
        int(claims.get("gen", 0)),
    )
