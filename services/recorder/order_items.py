"""What the draws of a box gave their orders: written in the transaction that records the draws."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from services.common.orders import GoodslistType, order_item_id
from services.common.postgres import Connection, load_queries
from services.pool.ledger.entries import Draw, DrawEntry, Entry
from services.recorder.batch import Batch, LedgerViolationError, Win

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
        items: By prize id.
    """

    goods_id: int
    num: int
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
    return Box(rows[0]["goods_id"], rows[0]["num"], items)


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
    draws = (draw for entry in entries if isinstance(entry, DrawEntry) for draw in entry.draws)
    given = [
        _Given(draw, win, box.items[win.prize_id])
        for draw, win in zip(draws, batch.wins, strict=True)
    ]
    orders = await _mark_orders(connection, batch.pool_id, given)
    numbers = await _take_numbers(connection, box.goods_id, given)
    await connection.copy_records_to_table(
        "order_items",
        records=list(_rows(box, batch.pool_id, given, orders, numbers)),
        columns=ORDER_ITEM_COLUMNS,
    )


async def _mark_orders(
    connection: Connection, pool_id: int, given: Sequence[_Given]
) -> dict[bytes, asyncpg.Record]:
    """The orders, by the draw's request id; from now on drawn."""
    places = Counter(one.draw.request_id for one in given)
    first_seqs = {one.draw.request_id: one.win.seq for one in reversed(given)}
    orders = await _load_orders(connection, places)
    for one in given:
        _check(pool_id, one, orders.get(one.draw.request_id))
    reserved = [request_id for request_id in places if orders[request_id]["status"] == "reserved"]
    if reserved:
        await _queries.mark_drawn(
            connection,
            ids=[orders[request_id]["id"] for request_id in reserved],
            first_seqs=[first_seqs[request_id] for request_id in reserved],
            places=[places[request_id] for request_id in reserved],
        )
    return orders


async def _load_orders(
    connection: Connection, request_ids: Iterable[bytes]
) -> dict[bytes, asyncpg.Record]:
    names = [request_id.decode() for request_id in request_ids]
    rows = _queries.orders_of_draws(connection, request_ids=names)
    return {row["draw_request_id"].encode(): row async for row in rows}


def _check(pool_id: int, given: _Given, order: asyncpg.Record | None) -> None:
    draw, seq = given.draw, given.win.seq
    if order is None or (order["pool_id"], order["user_id"]) != (pool_id, draw.user_id):
        raise LedgerViolationError(
            f"pool {pool_id}: draw {seq} has no order of user {draw.user_id} "
            f"with the request id {draw.request_id.decode()}"
        )
    if order["status"] == "released":
        raise LedgerViolationError(
            f"pool {pool_id}: draw {seq} belongs to order {order['id']}, which was released"
        )


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
    orders: Mapping[bytes, asyncpg.Record],
    numbers: dict[int, int],
) -> Iterator[tuple[Any, ...]]:
    for draw, win, item in given:
        order = orders[draw.request_id]
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
