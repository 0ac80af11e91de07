"""Which boxes there are, and what is in them: it never changes, so it is remembered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from cachetools import LRUCache

from services.common.errors import GoodsNotFoundError
from services.common.orders import ORDER_TYPES_OF_GOODS, OrderType, money
from services.common.postgres import load_queries

_ITEMS_KEPT = 100_000  # of all boxes known; some 600 bytes each
_queries: Any = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class OpenBoxItem:
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
class OpenBox:
    """
    A numbered box of some goods.

    Args:
        order_type: Which orders it takes: ICHIBAN or INFINITE.
        items: By prize id, in the order of creation.
    """

    goods_id: int
    num: int
    order_type: OrderType
    pool_id: int
    items: Mapping[int, OpenBoxItem]


class Shelf:
    """
    Finds boxes.

    Args:
        items_kept: Boxes are remembered up to so many items in all: anyone may ask for any box.
    """

    def __init__(self, postgres: asyncpg.Pool, items_kept: int = _ITEMS_KEPT) -> None:
        self._postgres = postgres
        self._boxes: LRUCache[tuple[int, int], OpenBox] = LRUCache(
            items_kept, getsizeof=lambda box: len(box.items)
        )
        self._order_types: dict[int, OrderType] = {}

    async def box(self, goods_id: int, num: int) -> OpenBox:
        """
        Box *num* of these goods.

        Raises:
            GoodsNotFoundError: There are no such goods ("goods_id"), or no such box ("num").
        """
        known = self._boxes.get((goods_id, num))
        return known if known is not None else await self._load(goods_id, num)

    async def order_type(self, goods_id: int) -> OrderType:
        """
        Which orders these goods take: ICHIBAN or INFINITE. Until a box is open it may change.

        Raises:
            GoodsNotFoundError: There are no such goods.
        """
        known = self._order_types.get(goods_id)
        if known is not None:
            return known
        kind = await _queries.goods_type(self._postgres, goods_id=goods_id)
        if kind is None:
            raise GoodsNotFoundError
        return ORDER_TYPES_OF_GOODS[kind]

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

    async def _load(self, goods_id: int, num: int) -> OpenBox:
        row = await _queries.box(self._postgres, goods_id=goods_id, num=num)
        if row is None or row["pool_id"] is None:
            # Not remembered: a box draws from the moment that it is open.
            raise GoodsNotFoundError("num" if row else "goods_id")
        order_type = self._order_types.setdefault(goods_id, ORDER_TYPES_OF_GOODS[row["type"]])
        items = await self._items(row["pool_id"])
        box = OpenBox(goods_id, num, order_type, row["pool_id"], items)
        return self._boxes.setdefault((goods_id, num), box)

    async def _items(self, pool_id: int) -> dict[int, OpenBoxItem]:
        rows = _queries.items_of_box(self._postgres, pool_id=pool_id)
        return {
            row["prize_id"]: OpenBoxItem(
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
