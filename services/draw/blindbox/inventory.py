"""What a box holds at this moment, and the probabilities that follow."""

from typing import NamedTuple

from services.common.errors import PoolNotLoadedError
from services.draw.blindbox.shelf import OpenBoxItem, Shelf
from services.pool.rule.terms import UNLIMITED, PoolStatus, PoolStore


class ItemOdds(NamedTuple):
    """
    An item that has tickets.

    Args:
        left: Units left; None: unlimited.
        weight: Of one draw at this moment.
        percent: 100 × weight / the sum of weights.
    """

    item: OpenBoxItem
    left: int | None
    weight: int
    percent: float


class Stocktaking(NamedTuple):
    """
    A box at this moment.

    Args:
        is_open: Whether it draws.
        odds: One an item that has tickets, in the order of creation.
    """

    is_open: bool
    odds: list[ItemOdds]

    @property
    def tickets_left(self) -> int | None:
        """None: unlimited."""
        lefts = [odds.left for odds in self.odds if odds.weight]
        return None if None in lefts else sum(left or 0 for left in lefts)

    def has(self, count: int) -> bool:
        """Whether an order of *count* could be served."""
        left = self.tickets_left
        return self.is_open and (left is None or count <= left)


class Inventory:
    """Looks into boxes."""

    def __init__(self, shelf: Shelf, store: PoolStore) -> None:
        self._shelf = shelf
        self._store = store

    async def take_stock(self, goods_id: int, num: int) -> Stocktaking:
        """
        Box *num* of these goods (0: the first) as it stands.

        Raises:
            GoodsNotFoundError: There are no such goods, or no such box.
            PoolNotLoadedError: Its stock is not in the store.
        """
        box = await self._shelf.box(goods_id, num or 1)
        live = await self._store.inspect(box.pool_id)
        if live is None:
            raise PoolNotLoadedError
        lefts = {stock.prize_id: stock.left for stock in live.stocks}
        total = live.odds_total or 1
        odds = [
            ItemOdds(
                item,
                None if lefts[prize_id] == UNLIMITED else lefts[prize_id],
                live.weights[prize_id],
                100 * live.weights[prize_id] / total,
            )
            for prize_id, item in box.items.items()
            if not item.is_last_prize
        ]
        return Stocktaking(live.status is PoolStatus.OPEN, odds)

    async def check(self, goods_id: int, num: int, count: int) -> tuple[bool, Stocktaking]:
        """
        Whether a box could serve an order of *count* (0: of 1), and what it holds.

        Raises:
            GoodsNotFoundError, PoolNotLoadedError: See take_stock.
        """
        stock = await self.take_stock(goods_id, num)
        return stock.has(count or 1), stock
