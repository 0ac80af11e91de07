"""Access tokens: signed JWTs, verified everywhere against the auth service's keys."""

import json
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
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
ALGORITHMS = ("RS256", "EdDSA")
ISSUER = "kuji"
AUDIENCE = "kuji"
_CACHED_TOKENS = 65_536
_CACHED_HEADS = 256
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
        return self._remembered(token, await self._keys.key(_kid_of(token)))

    def verified(self, token: str) -> Caller | None:
        """
        As verify(), where its key is known here; None: it is not.

        Raises:
            UnauthenticatedError: As verify() does.
        """
        known = self._verified.get(token)
        if known is not None and self._now() < known[1]:
            return self._not_over(known[0])
        key = self._keys.at_hand(_kid_of(token))
        return None if key is None else self._remembered(token, key)

    def _remembered(self, token: str, key: jwt.PyJWK) -> Caller:
        caller, _ = self._verified[token] = self._decoded(token, key)
        return self._not_over(caller)

    def _not_over(self, caller: Caller) -> Caller:
        if self._ended.include(caller):
            raise UnauthenticatedError("The access token is over. Log in again.")
        return caller

    def _decoded(self, token: str, key: jwt.PyJWK) -> tuple[Caller, float]:
        CHECKED.inc()
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
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


def _kid_of(token: str) -> str:
    if len(token) > _MAX_TOKEN_LENGTH:
        raise UnauthenticatedError("The access token is not valid.")
    return _kid_in(token.partition(".")[0])


# All tokens of a key have the same head. To read it costs half of what the signature does.
@lru_cache(_CACHED_HEADS)
def _kid_in(head: str) -> str:
    try:
        return str(jwt.get_unverified_header(f"{head}..").get("kid", ""))
    except (jwt.PyJWTError, ValueError) as error:
        raise UnauthenticatedError("The access token is not valid.") from error


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
