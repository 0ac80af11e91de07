"""Access tokens: signed JWTs, verified everywhere against the auth service's keys."""

import json
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import jwt
from cachetools import LRUCache
from google.api import httpbody_pb2
from jwt.utils import base64url_decode
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from prometheus_client import Counter

from services.common.context import Caller, Role
from services.common.ended_tokens import EndedTokens
from services.common.errors import UnauthenticatedError
from services.common.keyset import FetchJwks, Jwks, KeySet
from services.common.settings import ServiceSettings

CHECKED = Counter("kuji_tokens_checked", "Tokens not seen before, whose signature was checked")
ALGORITHMS = ("RS256", "EdDSA")
_HEAD = {"alg", "kid", "typ"}
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
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
            claims = _claims_in(token, key)
            expires_at = float(claims["exp"])
            caller = _caller_of(claims)
        except (ValueError, LookupError, TypeError) as error:
            raise UnauthenticatedError("The access token is not valid.") from error
        if self._now() >= expires_at:
            raise UnauthenticatedError("The access token has expired.")
        return caller, expires_at


def _claims_in(token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
    """
    What *token* claims, which *key* has signed for us; ValueError: it has not.

    The signature is checked by PyJWT's algorithm of the key. PyJWT's own way to it costs twice as
    much as that: it looks at each character by itself. Here each part is read by one call, since at
    an opening every token is new.
    """
    if not _COMPACT.fullmatch(token):
        raise ValueError("not of three parts in base64url")
    signed, _, signature = token.rpartition(".")
    head, _, payload = signed.partition(".")
    if key.algorithm_name not in ALGORITHMS or key.algorithm_name != _said_by(head).algorithm:
        raise ValueError("another algorithm than the key's")
    if not key.Algorithm.verify(signed.encode("ascii"), key.key, base64url_decode(signature)):
        raise ValueError("signed by somebody else")
    claims: Mapping[str, Any] = json.loads(base64url_decode(payload))
    if (claims["iss"], claims["aud"]) != (ISSUER, AUDIENCE):
        raise ValueError("by somebody else, or for somebody else")
    return claims


def _kid_of(token: str) -> str:
    if len(token) > _MAX_TOKEN_LENGTH:
        raise UnauthenticatedError("The access token is not valid.")
    return _said_by(token.partition(".")[0]).kid


class _Head(NamedTuple):
    kid: str
    algorithm: str


# All tokens of a key have the same head.
@lru_cache(_CACHED_HEADS)
def _said_by(head: str) -> _Head:
    """What *head* says: a key of ours and its algorithm, and nothing that we would have to heed."""
    try:
        said = jwt.get_unverified_header(f"{head}..")
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise UnauthenticatedError("The access token is not valid.") from error
    if said.keys() - _HEAD:
        raise UnauthenticatedError("The access token is not valid.")
    return _Head(str(said.get("kid", "")), str(said.get("alg", "")))


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
