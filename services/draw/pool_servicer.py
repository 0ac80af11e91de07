"""kuji.draw.v1.PoolService on the wire: messages to domain and back."""

from contextlib import AbstractAsyncContextManager, nullcontext

from kuji.draw.v1 import pool_pb2

from services.common.addresses import parse_network
from services.common.context import RequestContext
from services.common.errors import InvalidArgumentError, PermissionDeniedError
from services.draw.lottery.closings import EdgeAdvice
from services.draw.pools import Pools
from services.draw.publisher import configure
from services.pool.configuration import config_of, document_of
from services.pool.rule.selection import Mode
from services.pool.rule.terms import LiveState, PoolConfig, PoolStatus, Stock
from services.pool.store.closings import Closings
from services.pool.store.redis_store import RedisStore


class PoolServicer:
    """kuji.draw.v1.PoolService."""

    def __init__(
        self, pools: Pools, store: RedisStore, closings: Closings, advice: EdgeAdvice
    ) -> None:
        self._pools = pools
        self._store = store
        self._closings = closings
        self._advice = advice

    async def CreatePool(
        self, request: pool_pb2.CreatePoolRequest, ctx: RequestContext
    ) -> pool_pb2.CreatePoolResponse:
        """See PoolService.CreatePool."""
        del request, ctx
        pool_id, commitment = await self._pools.create()
        return pool_pb2.CreatePoolResponse(pool_id=pool_id, seed_commitment=commitment.hex())

    async def PublishPool(
        self, request: pool_pb2.PublishPoolRequest, ctx: RequestContext
    ) -> pool_pb2.PublishPoolResponse:
        """See PoolService.PublishPool."""
        del ctx
        config, document = config_of(request.config), document_of(request.config)
        await self._pools.check_made(request.pool_id)
        async with self._before(request.pool_id, config):
            configured = await configure(
                self._store,
                request.pool_id,
                request.expected_version,
                request.version,
                config,
                document,
            )
        return pool_pb2.PublishPoolResponse(
            after_seq=configured.seq, stocks=[_stock(stock) for stock in configured.stocks]
        )

    def _before(self, pool_id: int, config: PoolConfig) -> AbstractAsyncContextManager[None]:
        may_open = config.status is PoolStatus.OPEN and config.mode is Mode.ODDS
        return self._closings.opening(pool_id) if may_open else nullcontext()

    async def GetClosing(
        self, request: pool_pb2.GetClosingRequest, ctx: RequestContext
    ) -> pool_pb2.GetClosingResponse:
        """See PoolService.GetClosing."""
        if not ctx.origin.is_by_edge:
            raise PermissionDeniedError("This is for the edge alone.")
        told = await self._advice.look(request.activity_id, request.known_version)
        return pool_pb2.GetClosingResponse(
            closing=pool_pb2.Closing.ValueType(told.closing),
            pool_version=told.version,
            drawn=told.drawn,
        )

    async def SetUserBlock(
        self, request: pool_pb2.SetUserBlockRequest, ctx: RequestContext
    ) -> pool_pb2.SetUserBlockResponse:
        """See PoolService.SetUserBlock."""
        del ctx
        await self._store.block(request.user_id, request.until_ms if request.blocked else None)
        return pool_pb2.SetUserBlockResponse()

    async def SetNetworkBlock(
        self, request: pool_pb2.SetNetworkBlockRequest, ctx: RequestContext
    ) -> pool_pb2.SetNetworkBlockResponse:
        """See PoolService.SetNetworkBlock."""
        del ctx
        network = parse_network(request.network)
        if network is None:
            raise InvalidArgumentError("network", "network is an address or a range of them.")
        await self._store.block_network(network, request.until_ms if request.blocked else None)
        return pool_pb2.SetNetworkBlockResponse()

    async def InspectPools(
        self, request: pool_pb2.InspectPoolsRequest, ctx: RequestContext
    ) -> pool_pb2.InspectPoolsResponse:
        """See PoolService.InspectPools."""
        del ctx
        states = [await self._store.inspect(pool_id) for pool_id in request.pool_ids]
        return pool_pb2.InspectPoolsResponse(
            pools=[_state(state) for state in states if state is not None]
        )


def _stock(stock: Stock) -> pool_pb2.PrizeStock:
    return pool_pb2.PrizeStock(prize_id=stock.prize_id, units=stock.units, remaining=stock.left)


def _state(state: LiveState) -> pool_pb2.PoolState:
    return pool_pb2.PoolState(
        pool_id=state.pool_id,
        version=state.version,
        last_seq=state.seq,
        stocks=[_stock(stock) for stock in state.stocks],
        unique_users=state.users,
        ledger_entries=state.ledger_entries,
        newest_drawn_ms=state.last_ms,
        oldest_unrecorded_ms=state.oldest_unrecorded_ms,
    )
