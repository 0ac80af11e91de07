"""Which boxes there are, and what is in them: it never changes, so it is read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from cachetools import TTLCache

from services.common.errors import GoodsNotFoundError
from services.common.orders import OrderType, money
from services.common.postgres import load_queries

_UNKNOWN_LIVE_S = 1.0
_queries: Any = load_queries(__file__)
_ORDER_TYPES = {"ichiban": OrderType.ICHIBAN, "infinite": OrderType.INFINITE}


@dataclass(frozen=True, slots=True)
class Item:
    """What is drawn; money with two decimals. See kuji.blindbox.v1.DrawnItem."""

    goods_item_id: int
    title: str
    img_url: str
    shang_id: int
    shang_title: str
    shang_color: str
    price: str
    sc_money: str
    is_last_prize: bool


@dataclass(frozen=True, slots=True)
class Box:
    """
    A numbered box of some goods.

    Args:
        order_type: Of orders that draw from it: ICHIBAN or INFINITE.
        items: By prize id, in the order of creation.
    """

    goods_id: int
    num: int
    order_type: OrderType
    pool_id: int
    items: Mapping[int, Item]


class Shelf:
    """Finds boxes."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres
        self._order_types: dict[int, OrderType] = {}
        self._boxes: dict[tuple[int, int], Box] = {}
        self._unknown: TTLCache[tuple[int, int], bool] = TTLCache(10_000, _UNKNOWN_LIVE_S)

    async def order_type(self, goods_id: int) -> OrderType:
        """
        Which orders draw from these goods: ICHIBAN or INFINITE ones.

        Raises:
            GoodsNotFoundError: There are no such goods.
        """
        known = self._order_types.get(goods_id)
        if known is not None:
            return known
        if (goods_id, 0) in self._unknown:
            raise GoodsNotFoundError
        kind = await _queries.goods_type(self._postgres, goods_id=goods_id)
        if kind is None:
            self._unknown[goods_id, 0] = True
            raise GoodsNotFoundError
        return self._order_types.setdefault(goods_id, _ORDER_TYPES[kind])

    async def box(self, goods_id: int, num: int) -> Box:
        """
        Box *num* of these goods.

        Raises:
            GoodsNotFoundError: There are no such goods ("goods_id"), or no such box ("num").
        """
        known = self._boxes.get((goods_id, num))
        if known is not None:
            return known
        order_type = await self.order_type(goods_id)
        if (goods_id, num) in self._unknown:
            raise GoodsNotFoundError("num")
        pool_id = await _queries.pool_of_box(self._postgres, goods_id=goods_id, num=num)
        if pool_id is None:
            self._unknown[goods_id, num] = True
            raise GoodsNotFoundError("num")
        box = Box(goods_id, num, order_type, pool_id, await self._items(pool_id))
        return self._boxes.setdefault((goods_id, num), box)

    async def nums_left(self, goods_id: int) -> list[int]:
        """Boxes of these goods that may have tickets left, ascending; the others have none."""
        rows = _queries.nums_left(self._postgres, goods_id=goods_id)
        return [row["num"] async for row in rows]

    async def have_ended(self, goods_id: int) -> bool:
        """Whether these goods have been ended, at this moment."""
        return bool(await _queries.goods_have_ended(self._postgres, goods_id=goods_id))

    async def is_box(self, pool_id: int) -> bool:
        """Whether this pool is a box's."""
        return bool(await _queries.is_box(self._postgres, pool_id=pool_id))

    async def _items(self, pool_id: int) -> dict[int, Item]:
        rows = _queries.items_of_box(self._postgres, pool_id=pool_id)
        return {
            row["prize_id"]: Item(
                row["goods_item_id"],
                row["title"],
                row["img_url"],
                row["shang_id"],
                row["shang_title"],
                row["shang_color"],
                money(row["price"]),
                money(row["sc_money"]),
                row["is_last_prize"],
            )
            async for row in rows
        }
