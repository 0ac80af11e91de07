"""The services' gRPC face, as another service calls it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

RPC_TIMEOUT_S = 10.0
_RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
Metadata = list[tuple[str, str]]


@asynccontextmanager
async def open_channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to *address* that is soon back after a restart there; closed on leaving."""
    async with grpc.aio.insecure_channel(address, options=_RECONNECT) as channel:
        yield channel


def bearer(token: str) -> Metadata:
    """The metadata of a call with *token*."""
    return [("authorization", f"Bearer {token}")]
