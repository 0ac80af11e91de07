"""Channels to other services of the house."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from services.common.tls import Identity, channel_credentials
from services.common.tls_files import TlsFiles
from services.common.traces.propagation import telling

_OPTIONS = (
    # gRPC's own default lets a channel rest for two minutes after a server was away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A neighbour that is frozen, or cut off without a word, is noticed while a call waits for it.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
_LAST_CALLS_S = 30.0


def open_channel(address: str, tls: TlsFiles | None = None) -> grpc.aio.Channel:
    """
    A channel to the service at *address* (host:port), which need not be there yet.

    Args:
        address: Where it is.
        tls: What this process shows, and whom it believes; None: the connection is in the clear.
    """
    if tls is None:
        return grpc.aio.insecure_channel(address, _OPTIONS, interceptors=telling())
    return _SecureChannel(address, Identity(tls))


class _SecureChannel(grpc.aio.Channel):
    """
    A channel whose next call goes by the certificates that there are by then.

    gRPC's own keep those that they were opened with: where they have changed, it is another one,
    and the one before ends with its last call.
    """

    def __init__(self, address: str, identity: Identity) -> None:
        self._address = address
        self._identity = identity
        self._shown = identity.current()
        self._channel = self._open()
        self._ending: set[asyncio.Task[None]] = set()

    def _open(self) -> grpc.aio.Channel:
        credentials = channel_credentials(self._shown)
        return grpc.aio.secure_channel(self._address, credentials, _OPTIONS, interceptors=telling())

    def _current(self) -> grpc.aio.Channel:
        shown = self._identity.current()
        if shown != self._shown:
            self._shown, before = shown, self._channel
            self._channel = self._open()
            ending = asyncio.get_running_loop().create_task(before.close(_LAST_CALLS_S))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        return self._channel

    def unary_unary(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """See grpc.aio.Channel."""
        return self._late("unary_unary", args, options)

    def unary_stream(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """See grpc.aio.Channel."""
        return self._late("unary_stream", args, options)

    def stream_unary(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """See grpc.aio.Channel."""
        return self._late("stream_unary", args, options)

    def stream_stream(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """See grpc.aio.Channel."""
        return self._late("stream_stream", args, options)

    def _late(
        self, kind: str, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:  # noqa: ANN401
            return getattr(self._current(), kind)(*args, **options)(*given, **more)

        return call

    async def __aenter__(self) -> grpc.aio.Channel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """See grpc.aio.Channel."""
        await self._channel.close(grace)
        for ending in list(self._ending):
            ending.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See grpc.aio.Channel."""
        return self._current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See grpc.aio.Channel."""
        await self._current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See grpc.aio.Channel."""
        await self._current().channel_ready()
