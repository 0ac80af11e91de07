"""Reflection: what a stranger's tool may ask a running service about its RPCs."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection


class ReflectedPool:
    """
    The descriptors, where a method is found by its name too.

    The protocol promises it and ghz asks so; a pool of protobuf for Python does not know methods.
    """

    def __init__(self, pool: DescriptorPool | None = None) -> None:
        self._pool = pool or Default()

    def FindFileContainingSymbol(self, name: str) -> FileDescriptor:  # noqa: N802
        """The file of a service, a method, a message…; KeyError where there is none."""
        try:
            return self._pool.FindFileContainingSymbol(name)
        except KeyError:
            service, _, method = name.rpartition(".")
            if method not in self._pool.FindServiceByName(service).methods_by_name:
                raise
            return self._pool.FindFileContainingSymbol(service)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """All else is the pool's."""
        return getattr(self._pool, name)


def offer_reflection(
    server: grpc.aio.Server, names: Sequence[str], pool: DescriptorPool | None = None
) -> None:
    """Let *server* tell of the services *names*, and of reflection itself."""
    told: Any = ReflectedPool(pool)
    # Which of its two servicers fits is told by grpc.aio.Server, which every server of ours is.
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server, told)
