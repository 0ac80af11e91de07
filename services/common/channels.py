"""Channels to other services of the house."""

import grpc

from services.common.traces.propagation import telling

_OPTIONS = (
    # gRPC's own default lets a channel rest for two minutes after a server was away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A neighbour that is frozen, or cut off without a word, is noticed while a call waits for it.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to the service at *address* (host:port), which need not be there yet."""
    return grpc.aio.insecure_channel(address, _OPTIONS, interceptors=telling())
