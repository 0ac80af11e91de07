"""The box that a pool's draws are made from, as their orders and items need it."""

from collections.abc import Mapping
from typing import NamedTuple

from services.common.orders import ORDER_TYPES_OF_GOODS, OrderType
from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)


class BoxItem(NamedTuple):
    """A goods item and its level."""

    goods_item_id: int
    shang_id: int


class OrderedBox(NamedTuple):
    """
    The box that orders draw from.

    Args:
        pool_id: Its pool.
        goods_id: Of which goods.
        num: Its number.
        order_type: Of its orders, where no card is spent.
        items: By prize id.
    """

    pool_id: int
    goods_id: int
    num: int
    order_type: OrderType
    items: Mapping[int, BoxItem]


class BoxMemory:
    """A pool's box, looked for when it is first needed: its items never change."""

    def __init__(self) -> None:
        self._box: OrderedBox | None = None

    async def of(self, connection: Connection, pool_id: int) -> OrderedBox | None:
        """The box; None where the pool is none."""
        if self._box is None:
            self._box = await _load(connection, pool_id)
        return self._box


async def _load(connection: Connection, pool_id: int) -> OrderedBox | None:
    rows = [row async for row in _queries.box_items(connection, pool_id=pool_id)]
    if not rows:
        return None
    items = {row["prize_id"]: BoxItem(row["goods_item_id"], row["shang_id"]) for row in rows}
    order_type = ORDER_TYPES_OF_GOODS[rows[0]["type"]]
    return OrderedBox(pool_id, rows[0]["goods_id"], rows[0]["num"], order_type, items)
