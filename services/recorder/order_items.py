"""What the draws of a box gave their orders: written in the transaction that records the draws."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from services.common.orders import (
    ORDER_TYPES_OF_GOODS,
    GoodslistType,
    OrderType,
    order_item_id,
)
from services.common.postgres import Connection, load_queries
from services.pool.ledger.entries import Draw, DrawEntry, Entry
from services.recorder.batch import Batch, Win
from services.recorder.lost_orders import OrderKey
from services.recorder.orders import OrderDraws, OrderedBox, mark_orders

_queries = load_queries(__file__)
_ALL_LEVELS = 0  # the shang_id under which item_counters counts the goods' items

ORDER_ITEM_COLUMNS = (
    "id",
    "order_id",
    "pool_id",
    "seq",
    "user_id",
    "goods_id",
    "num",
    "goodslist_id",
    "goodslist_type",
    "shang_id",
    "prize_code",
    "luck_no",
    "order_type",
    "goods_no",
    "shang_no",
    "created_at",
)


class BoxItem(NamedTuple):
    """A goods item and its level."""

    goods_item_id: int
    shang_id: int


class Box(NamedTuple):
    """
    A box, as its pool's draws need it.

    Args:
        goods_id: Of which goods.
        num: Its number.
        order_type: Of its orders, where no card is spent.
        items: By prize id.
    """

    goods_id: int
    num: int
    order_type: OrderType
    items: Mapping[int, BoxItem]


class BoxMemory:
    """A pool's box, looked for when it is first needed: its items never change."""

    def __init__(self) -> None:
        self._box: Box | None = None

    async def of(self, connection: Connection, pool_id: int) -> Box | None:
        """The box; None where the pool is none."""
        if self._box is None:
            self._box = await _load_box(connection, pool_id)
        return self._box


async def _load_box(connection: Connection, pool_id: int) -> Box | None:
    rows = [row async for row in _queries.box_items(connection, pool_id=pool_id)]
    if not rows:
        return None
    items = {row["prize_id"]: BoxItem(row["goods_item_id"], row["shang_id"]) for row in rows}
    order_type = ORDER_TYPES_OF_GOODS[rows[0]["type"]]
    return Box(rows[0]["goods_id"], rows[0]["num"], order_type, items)


class _Given(NamedTuple):
    """A draw, what it won, and of which level."""

    draw: Draw
    win: Win
    item: BoxItem


async def add_order_items(
    connection: Connection, box: Box, batch: Batch, entries: Sequence[Entry]
) -> None:
    """
    Give each order what it drew, and mark it as drawn.

    Args:
        connection: In the transaction of the batch; next come the numbers of the winner list.
        box: What is drawn from.
        batch: Of *entries*; its prizes are counted, so they exist.
        entries: In the order of the ledger.

    Raises:
        LedgerViolationError: A draw has no order of its user, or one that was released.
    """
    drawn = [entry for entry in entries if isinstance(entry, DrawEntry)]
    draws = (draw for entry in drawn for draw in entry.draws)
    given = [
        _Given(draw, win, box.items[win.prize_id])
        for draw, win in zip(draws, batch.wins, strict=True)
    ]
    ordered = OrderedBox(batch.pool_id, box.goods_id, box.num, box.order_type)
    orders = await mark_orders(connection, ordered, _draws_by_order(given, drawn))
    numbers = await _take_numbers(connection, box.goods_id, given)
    await connection.copy_records_to_table(
        "order_items",
        records=list(_rows(box, batch.pool_id, given, orders, numbers)),
        columns=ORDER_ITEM_COLUMNS,
    )


def _draws_by_order(
    given: Sequence[_Given], entries: Iterable[DrawEntry]
) -> dict[OrderKey, OrderDraws]:
    notes = {
        OrderKey(note.user_id, note.draw_request_id): note
        for entry in entries
        for note in entry.orders
    }
    places = Counter(_key(one.draw) for one in given)
    firsts = {_key(one.draw): one for one in reversed(given)}
    return {
        key: OrderDraws(
            one.draw.draw_count,
            one.win.seq,
            places[key],
            one.win.won_at,
            notes.get(key),
        )
        for key, one in firsts.items()
    }


def _key(draw: Draw) -> OrderKey:
    return OrderKey(draw.user_id, draw.request_id)


async def _take_numbers(
    connection: Connection, goods_id: int, given: Sequence[_Given]
) -> dict[int, int]:
    """The newest number before these draws, over all (0) and of each of their levels."""
    taken = Counter(one.item.shang_id for one in given)
    taken[_ALL_LEVELS] = len(given)
    shang_ids = sorted(taken)
    rows = _queries.count_items(
        connection,
        goods_id=goods_id,
        shang_ids=shang_ids,
        counts=[taken[shang_id] for shang_id in shang_ids],
    )
    return {row["shang_id"]: row["items"] - taken[row["shang_id"]] async for row in rows}


def _rows(
    box: Box,
    pool_id: int,
    given: Sequence[_Given],
    orders: Mapping[OrderKey, asyncpg.Record],
    numbers: dict[int, int],
) -> Iterator[tuple[Any, ...]]:
    for draw, win, item in given:
        order = orders[_key(draw)]
        numbers[_ALL_LEVELS] += 1
        numbers[item.shang_id] += 1
        yield (
            order_item_id(order["id"], draw.draw_index),
            order["id"],
            pool_id,
            win.seq,
            win.user_id,
            box.goods_id,
            box.num,
            item.goods_item_id,
            _goodslist_type(draw),
            item.shang_id,
            win.prize_code,
            draw.ticket + 1,
            order["order_type"],
            numbers[_ALL_LEVELS],
            numbers[item.shang_id],
            win.won_at,
        )


def _goodslist_type(draw: Draw) -> GoodslistType:
    is_last_prize = draw.draw_index == draw.draw_count
    return GoodslistType.LAST_PRIZE if is_last_prize else GoodslistType.ORDINARY
