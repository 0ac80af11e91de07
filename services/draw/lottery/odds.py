"""The odds at this moment, as anyone may see them."""

from dataclasses import dataclass

from services.common.errors import PoolNotLoadedError
from services.draw.pools import Pools
from services.pool.rule.terms import PoolStore


@dataclass(frozen=True, slots=True)
class PrizeOdds:
    """A prize's odds: *weight* of the pool's total; remaining −1: unlimited."""

    prize_id: int
    name: str
    remaining: int
    weight: int


@dataclass(frozen=True, slots=True)
class Odds:
    """
    A pool's odds.

    Args:
        seq: Draws made so far.
        total: Denominator of the weights; 0: nothing can be drawn.
    """

    activity_id: int
    version: int
    seq: int
    total: int
    prizes: list[PrizeOdds]
    seed_commitment: bytes

    @property
    def miss_weight(self) -> int:
        """What is left of the total: a miss."""
        return self.total - sum(prize.weight for prize in self.prizes)


async def current_odds(pools: Pools, store: PoolStore, activity_id: int) -> Odds:
    """
    The odds of one draw from an activity; 0: of the only one that is ongoing.

    Raises:
        ActivityNotFoundError: There is none.
        PoolNotLoadedError: Its stock is not in the store.
    """
    pool = await pools.of_activity(activity_id)
    live = await store.inspect(pool.pool_id)
    if live is None:
        raise PoolNotLoadedError
    faces = await pools.faces(pool, live.version)
    left = {stock.prize_id: stock.left for stock in live.stocks}
    prizes = [
        PrizeOdds(prize_id, faces[prize_id].name, left[prize_id], weight)
        for prize_id, weight in live.weights.items()
    ]
    return Odds(pool.activity_id, live.version, live.seq, live.odds_total, prizes, pool.commitment)
