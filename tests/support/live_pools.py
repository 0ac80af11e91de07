"""Live pools in memory, with faults to order: what the administration meets of the draw service."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from kuji.draw.v1 import pool_pb2

from services.common.context import RequestContext
from services.common.contract import reasons_of
from services.common.errors import (
    ConflictError,
    InvalidArgumentError,
    KujiError,
    UnavailableError,
    UnitsBelowWonError,
)

COMMITMENT = "ab" * 32
_CREATE_POOL = pool_pb2.DESCRIPTOR.services_by_name["PoolService"].methods_by_name["CreatePool"]


@dataclass
class LivePool:
    """A pool as the live store holds it."""

    version: int = 0
    config: pool_pb2.PoolConfig = field(default_factory=pool_pb2.PoolConfig)
    units: dict[int, int] = field(default_factory=dict)
    won: dict[int, int] = field(default_factory=dict)
    last_seq: int = 0
    oldest_unrecorded_ms: int = 0

    def configure(self, request: pool_pb2.PublishPoolRequest) -> None:
        """Compare and set, with the rules of PoolService.PublishPool."""
        if self.version != request.expected_version or request.version <= self.version:
            raise ConflictError(live_version=self.version)
        was_ended = self.config.status == pool_pb2.POOL_STATUS_ENDED
        if was_ended and request.config.status != pool_pb2.POOL_STATUS_ENDED:
            raise InvalidArgumentError("status", "It has ended for good.")
        units = {prize.prize_id: self._units_of(prize) for prize in request.config.prizes}
        self.version, self.config, self.units = request.version, request.config, units

    def _units_of(self, prize: pool_pb2.PoolPrize) -> int:
        won = self.won.get(prize.prize_id, 0)
        if prize.retired:
            return won
        if 0 <= prize.units < won:
            raise UnitsBelowWonError(prize.prize_id, won)
        return prize.units

    def draw(self, prize_id: int = 0, count: int = 1) -> None:
        """*count* draws that win *prize_id*, or miss (0)."""
        self.last_seq += count
        if prize_id:
            self.won[prize_id] = self.won.get(prize_id, 0) + count

    def stocks(self) -> list[pool_pb2.PrizeStock]:
        """One for each prize."""
        return [
            pool_pb2.PrizeStock(
                prize_id=prize_id,
                units=units,
                remaining=-1 if units < 0 else units - self.won.get(prize_id, 0),
            )
            for prize_id, units in self.units.items()
        ]


class FakePools:
    """PoolService over live pools in memory, with faults to order."""

    def __init__(self) -> None:
        self.pools: dict[int, LivePool] = {}
        self.refusal: KujiError | None = None
        self.refuse_once: KujiError | None = None
        self.refusals: dict[int, KujiError] = {}  # of publications of these pools
        self.refused = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.held = asyncio.Event()
        self.answers_lost = 0
        self.publications = 0
        self.blocked: dict[int, int] = {}
        self.blocked_networks: dict[str, int] = {}
        self.block_calls = 0

    async def CreatePool(  # noqa: N802
        self, _request: pool_pb2.CreatePoolRequest, _ctx: RequestContext
    ) -> pool_pb2.CreatePoolResponse:
        """A fresh pool; refused only for a reason that the real one gives."""
        if self.refusal is None or self.refusal.reason in reasons_of(_CREATE_POOL):
            self._refuse()
        pool_id = len(self.pools) + 1
        self.pools[pool_id] = LivePool()
        return pool_pb2.CreatePoolResponse(pool_id=pool_id, seed_commitment=COMMITMENT)

    async def PublishPool(  # noqa: N802
        self, request: pool_pb2.PublishPoolRequest, _ctx: RequestContext
    ) -> pool_pb2.PublishPoolResponse:
        """Compare and set; where an answer shall be lost, the change is applied all the same."""
        self._refuse()
        if refusal := self.refusals.get(request.pool_id):
            raise refusal
        await self._hold()
        self.publications += 1
        pool = self.pools[request.pool_id]
        try:
            pool.configure(request)
        except KujiError:
            self.refused.set()
            raise
        if self.answers_lost:
            self.answers_lost -= 1
            raise UnavailableError
        return pool_pb2.PublishPoolResponse(after_seq=pool.last_seq, stocks=pool.stocks())

    async def SetUserBlock(  # noqa: N802
        self, request: pool_pb2.SetUserBlockRequest, _ctx: RequestContext
    ) -> pool_pb2.SetUserBlockResponse:
        """In every pool at once."""
        self._refuse()
        await self._hold()
        self.block_calls += 1
        if request.blocked:
            self.blocked[request.user_id] = request.until_ms
        else:
            self.blocked.pop(request.user_id, None)
        return pool_pb2.SetUserBlockResponse()

    async def SetNetworkBlock(  # noqa: N802
        self, request: pool_pb2.SetNetworkBlockRequest, _ctx: RequestContext
    ) -> pool_pb2.SetNetworkBlockResponse:
        """In every pool at once."""
        self._refuse()
        if request.blocked:
            self.blocked_networks[request.network] = request.until_ms
        else:
            self.blocked_networks.pop(request.network, None)
        return pool_pb2.SetNetworkBlockResponse()

    async def InspectPools(  # noqa: N802
        self, request: pool_pb2.InspectPoolsRequest, _ctx: RequestContext
    ) -> pool_pb2.InspectPoolsResponse:
        """Those that are loaded."""
        self._refuse()
        states = [
            pool_pb2.PoolState(
                pool_id=pool_id,
                version=pool.version,
                last_seq=pool.last_seq,
                stocks=pool.stocks(),
                oldest_unrecorded_ms=pool.oldest_unrecorded_ms,
            )
            for pool_id in request.pool_ids
            if (pool := self.pools.get(pool_id)) is not None
        ]
        return pool_pb2.InspectPoolsResponse(pools=states)

    def __getattr__(self, method: str) -> Any:
        """Methods of PoolService that these tests do not need, and that fail when called."""
        if not method[:1].isupper():
            raise AttributeError(method)

        async def unexpected(_request: object, _ctx: RequestContext) -> None:
            raise AssertionError(f"{method} was not expected")

        return unexpected

    async def _hold(self) -> None:
        if self.hold is not None:
            self.held.set()
            await self.hold.wait()

    def _refuse(self) -> None:
        once, self.refuse_once = self.refuse_once, None
        if once is not None:
            raise once
        if self.refusal is not None:
            self.refused.set()
            raise self.refusal
