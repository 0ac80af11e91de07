"""Access tokens: signed JWTs (EdDSA), verified everywhere against the auth service's keys."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import jwt
from cachetools import LRUCache
from google.api import httpbody_pb2
from jwt import PyJWK, PyJWKSet
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc

from services.common.context import Caller, Role
from services.common.errors import UnauthenticatedError

ALGORITHM = "EdDSA"
ISSUER = "kuji"
AUDIENCE = "kuji"
_CACHED_TOKENS = 65_536
_MAX_TOKEN_LENGTH = 4096
_REFETCH_AFTER_S = 1.0
_KEYS_LIVE_S = 60.0

Jwks = dict[str, Any]
FetchJwks = Callable[[], Awaitable[Jwks]]


def fetch_jwks_from(channel: grpc.aio.Channel) -> FetchJwks:
    """A fetcher of the auth service's key set over *channel*."""
    stub = auth_pb2_grpc.AuthServiceStub(channel)

    async def fetch() -> Jwks:
        body: httpbody_pb2.HttpBody = await stub.GetJwks(auth_pb2.GetJwksRequest(), timeout=5.0)
        keys: Jwks = json.loads(body.data)
        return keys

    return fetch


class TokenVerifier:
    """Verifies access tokens; remembers those it has verified until they expire."""

    def __init__(self, fetch_jwks: FetchJwks, now: Callable[[], float] = time.time) -> None:
        self._fetch_jwks = fetch_jwks
        self._now = now
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._refreshing = asyncio.Lock()
        self._verified: LRUCache[str, tuple[Caller, float]] = LRUCache(_CACHED_TOKENS)

    async def verify(self, token: str) -> Caller:
        """Who *token* stands for; UnauthenticatedError when it is not good (any more)."""
        known = self._verified.get(token)
        if known is not None and self._now() < known[1]:
            return known[0]
        caller, expires_at = await self._decode(token)
        self._verified[token] = caller, expires_at
        return caller

    async def _decode(self, token: str) -> tuple[Caller, float]:
        if len(token) > _MAX_TOKEN_LENGTH:
            raise UnauthenticatedError("The access token is not valid.")
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            key = await self._key(str(kid))
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
            caller = Caller(int(claims["sub"]), str(claims.get("name", "")), Role(claims["role"]))
        except (jwt.PyJWTError, ValueError) as error:
            raise UnauthenticatedError("The access token is not valid.") from error
        if self._now() >= expires_at:
            raise UnauthenticatedError("The access token has expired.")
        return caller, expires_at

    async def _key(self, kid: str) -> PyJWK:
        if self._is_stale(kid):
            async with self._refreshing:  # callers that waited for it need no fetch of their own
                if self._is_stale(kid):
                    await self._refresh()
        if kid not in self._keys:
            raise UnauthenticatedError("The access token is signed by an unknown key.")
        return self._keys[kid]

    def _is_stale(self, kid: str) -> bool:
        if self._now() - self._tried_at <= _REFETCH_AFTER_S:
            return False
        return kid not in self._keys or self._now() - self._fetched_at > _KEYS_LIVE_S

    async def _refresh(self) -> None:
        try:
            keys = PyJWKSet.from_dict(await self._fetch_jwks()).keys
        except grpc.RpcError:
            if not self._keys:
                raise
            self._tried_at = self._now()
            return
        self._keys = {str(key.key_id): key for key in keys}
        self._fetched_at = self._tried_at = self._now()
