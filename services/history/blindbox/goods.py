"""Goods on the shelf, with levels, items, boxes and what is left, as the public sees them."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg

from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)
_NEWEST = 100
_BOXES = 100  # of each goods


class ListedShang(NamedTuple):
    """A level."""

    shang_id: int
    title: str
    color: str
    sort: int


class ListedItem(NamedTuple):
    """An item; stock of a fresh box, None: unlimited; weight None: the surplus stock."""

    goods_item_id: int
    shang_id: int
    title: str
    image_url: str
    price: Decimal
    sc_money: Decimal
    stock: int | None
    weight: int | None
    is_last_prize: bool


class ListedBox(NamedTuple):
    """A box; tickets in all and left, None: unlimited; SHA-256 of its pool's seed in hex."""

    num: int
    total: int | None
    left: int | None
    pool_id: int
    seed_commitment: str


class ListedGoods(NamedTuple):
    """A blind-box product; shangs and items by the level's sort, boxes by number."""

    goods_id: int
    title: str
    type: str
    price: Decimal
    image_url: str
    protection_seconds: int
    shangs: Sequence[ListedShang]
    items: Sequence[ListedItem]
    boxes: Sequence[ListedBox]


class ListedGoodsStore:
    """Reads goods from Postgres."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres

    async def on_shelf(self, kind: str) -> list[ListedGoods]:
        """Those that can be drawn from, of type *kind* ("": of both), newest first, at most 100."""
        async with (
            self._postgres.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            found = _queries.goods_on_shelf(connection, kind=kind, size=_NEWEST)
            rows = {row["id"]: tuple(row) async for row in found}
            ids = list(rows)
            shangs = await _by_goods(connection, _queries.shangs_of_goods, ids)
            items = await _by_goods(connection, _queries.items_of_goods, ids)
            boxes = await _by_goods(connection, _queries.boxes_of_goods, ids, size=_BOXES)
        return [
            ListedGoods._make(
                (
                    *row,
                    [ListedShang(*shang) for shang in shangs[goods_id]],
                    [ListedItem(*item) for item in items[goods_id]],
                    [ListedBox(*box) for box in boxes[goods_id]],
                )
            )
            for goods_id, row in rows.items()
        ]


async def _by_goods(
    connection: Connection,
    query: Any,  # noqa: ANN401  # aiosql makes the methods at run time
    goods_ids: Sequence[int],
    **arguments: int,
) -> defaultdict[int, list[Sequence[Any]]]:
    """The rows of *query* by their first column, the goods, and without it."""
    rows: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
    async for goods_id, *row in query(connection, goods_ids=goods_ids, **arguments):
        rows[goods_id].append(row)
    return rows
