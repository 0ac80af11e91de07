"""The draw service's pools, as the administration calls them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import grpc
import structlog
from kuji.draw.v1 import pool_pb2, pool_pb2_grpc

from services.admin.service_token import ServiceToken
from services.common.addresses import Network
from services.common.errors import (
    ConflictError,
    InvalidArgumentError,
    KujiError,
    OverloadedError,
    PoolNotLoadedError,
    UnavailableError,
    UnitsBelowWonError,
)
from services.common.outages import is_outage
from services.common.status import error_info_of

log = structlog.get_logger()

MAY_BE_APPLIED = "The change may have been applied or not. Read it again before repeating."
NOT_CREATED = "The draw service cannot be reached at this moment; nothing was created."
NOT_INSPECTED = "The draw service cannot be reached at this moment."
WITHOUT_AUTH = "The auth service cannot be reached at this moment; nothing was changed."


Request = TypeVar("Request")
Response = TypeVar("Response")
_Method = grpc.aio.UnaryUnaryMultiCallable

_REFUSALS: dict[str, Callable[[dict[str, str], str], KujiError]] = {
    "CONFLICT": lambda _metadata, _message: ConflictError(),
    "POOL_NOT_LOADED": lambda _metadata, _message: PoolNotLoadedError(),
    "OVERLOADED": lambda _metadata, message: OverloadedError(message),
    # From auth: somebody guesses at the service secret where this process is.
    "RATE_LIMITED": lambda metadata, _message: OverloadedError(
        retry_after_ms=int(metadata["retry_after_ms"])
    ),
    "UNITS_BELOW_WON": lambda metadata, _message: UnitsBelowWonError(
        prize_id=int(metadata["prize_id"]), won=int(metadata["won"])
    ),
    "INVALID_ARGUMENT": lambda metadata, message: InvalidArgumentError(
        metadata.get("field", ""), message
    ),
}


class PoolPublisher:
    """
    A client of PoolService that carries this service's token.

    Args:
        channel: To the draw service.
        token: This service's.
        timeout_s: Bound of one call.
    """

    def __init__(self, channel: grpc.aio.Channel, token: ServiceToken, timeout_s: float) -> None:
        self._stub = pool_pb2_grpc.PoolServiceStub(channel)
        self._token = token
        self._timeout_s = timeout_s

    async def create_pool(self) -> tuple[int, str]:
        """A fresh pool's id and the commitment to its seed, 64 hexadecimal digits."""
        pool: pool_pb2.CreatePoolResponse = await self._call(
            self._stub.CreatePool, pool_pb2.CreatePoolRequest(), NOT_CREATED
        )
        return pool.pool_id, pool.seed_commitment

    async def publish(
        self, pool_id: int, config: pool_pb2.PoolConfig, expected: int, version: int
    ) -> dict[int, int]:
        """
        Make *config* hold as *version*, where *expected* holds now.

        Returns:
            Prize id → units in all, after the change.

        Raises:
            ConflictError: Another version than *expected* holds; nothing changed.
            UnitsBelowWonError: More is won of a prize; nothing changed.
            UnavailableError: It may have been applied.
        """
        request = pool_pb2.PublishPoolRequest(
            pool_id=pool_id, version=version, config=config, expected_version=expected
        )
        published: pool_pb2.PublishPoolResponse = await self._call(
            self._stub.PublishPool, request, MAY_BE_APPLIED
        )
        return {stock.prize_id: stock.units for stock in published.stocks}

    async def inspect(self, pool_ids: Sequence[int]) -> dict[int, pool_pb2.PoolState]:
        """Pool id → live state, for those of the 1…100 pools that are loaded."""
        inspected: pool_pb2.InspectPoolsResponse = await self._call(
            self._stub.InspectPools,
            pool_pb2.InspectPoolsRequest(pool_ids=pool_ids),
            NOT_INSPECTED,
        )
        return {state.pool_id: state for state in inspected.pools}

    async def set_block(self, user_id: int, blocked: bool, until_ms: int = 0) -> None:
        """
        Block a user in every pool until *until_ms* (0: for good), or lift the block.

        Raises:
            UnavailableError: It may have been done.
        """
        request = pool_pb2.SetUserBlockRequest(user_id=user_id, blocked=blocked, until_ms=until_ms)
        await self._call(self._stub.SetUserBlock, request, MAY_BE_APPLIED)

    async def set_network_block(self, network: Network, blocked: bool, until_ms: int = 0) -> None:
        """
        Block a range of addresses in every pool, or lift the block; as set_block does.

        Raises:
            UnavailableError: It may have been done.
        """
        request = pool_pb2.SetNetworkBlockRequest(
            network=str(network), blocked=blocked, until_ms=until_ms
        )
        await self._call(self._stub.SetNetworkBlock, request, MAY_BE_APPLIED)

    async def _call(
        self, method: _Method[Request, Response], request: Request, if_unknown: str
    ) -> Response:
        with _translated(if_unknown):
            try:
                return await self._send(method, request)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
            self._token.forget()  # its key was withdrawn meanwhile; nothing was done with it
            return await self._send(method, request)

    async def _send(self, method: _Method[Request, Response], request: Request) -> Response:
        with _translated(WITHOUT_AUTH):
            token = await self._token.current()
        metadata = (("authorization", f"Bearer {token}"),)
        return await method(request, timeout=self._timeout_s, metadata=metadata)


@contextmanager
def _translated(if_unknown: str) -> Iterator[None]:
    """Calls that fail with an error of ours where there is one for it."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        failure = _failure(error, if_unknown)
        if failure is None:
            raise
        raise failure from error


def _failure(error: grpc.aio.AioRpcError, if_unknown: str) -> KujiError | None:
    info = error_info_of(error)
    refusal = _REFUSALS.get(info.reason) if info is not None else None
    if info is not None and refusal is not None:
        return refusal(dict(info.metadata), error.details() or "")
    log.warning("a neighbour gives no answer", code=error.code().name, why=error.details())
    return UnavailableError(if_unknown) if is_outage(error) else None
