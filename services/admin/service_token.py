"""This service's own access token: fetched once, renewed before it expires."""

import asyncio
import time
from collections.abc import Callable

import grpc
import structlog
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc

log = structlog.get_logger()

_RENEW_AFTER = 0.8  # of the token's life
_TIMEOUT_S = 3.0
_RETRY_S = 10.0


class ServiceToken:
    """
    The token of *service*, made by auth over *channel* against the shared *secret*.

    Args:
        channel: To the auth service.
        service: Name for the audit log.
        secret: The shared service secret.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        service: str,
        secret: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stub = auth_pb2_grpc.AuthServiceStub(channel)
        self._request = auth_pb2.IssueServiceTokenRequest(service=service, secret=secret)
        self._now = now
        self._lock = asyncio.Lock()
        self.forget()

    def forget(self) -> None:
        """Fetch a new one next time: the old one was refused."""
        self._token = ""
        self._renew_at = self._expires_at = float("-inf")

    async def current(self) -> str:
        """
        A token that is good for some time yet.

        Raises:
            grpc.aio.AioRpcError: There is none, and auth gives none.
        """
        async with self._lock:
            if self._now() >= self._renew_at:
                await self._renew()
            return self._token

    async def _renew(self) -> None:
        asked_at = self._now()
        try:
            issued = await self._stub.IssueServiceToken(self._request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if asked_at >= self._expires_at:
                raise
            log.warning("service token not renewed yet", error=error.details())
            self._renew_at = min(asked_at + _RETRY_S, self._expires_at)
            return
        self._token = issued.access_token
        self._renew_at = asked_at + issued.expires_in * _RENEW_AFTER
        self._expires_at = asked_at + issued.expires_in
