"""What the draws of a box gave their orders: written in the transaction that records the draws."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from services.common.orders import order_item_id
from services.common.postgres import Connection, load_queries
from services.pool.ledger.entries import Draw, DrawEntry
from services.recorder.batch import Batch, WinnerRow
from services.recorder.boxes import BoxItem, BoxMemory, OrderedBox
from services.recorder.lost_orders import OrderKey
from services.recorder.orders import OrderDraws, mark_orders

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


class _WonItem(NamedTuple):
    """A draw, what it won, and of which level."""

    draw: Draw
    win: WinnerRow
    item: BoxItem


async def add_order_items(connection: Connection, batch: Batch, memory: BoxMemory) -> None:
    """
    Give each order what it drew, and mark it as drawn; in a lottery there is none.

    Args:
        connection: In the transaction of the batch; next come the numbers of the winner list.
        batch: Its prizes are counted, so they exist; at least one win.
        memory: Of the pool's box.

    Raises:
        LedgerViolationError: A draw has no order of its user, or one that was released.
    """
    if batch.wins[0].activity_id is not None:
        return
    box = await memory.of(connection, batch.pool_id)
    if box is None:
        return
    draws = (draw for entry in batch.entries for draw in entry.draws)
    given = [
        _WonItem(draw, win, box.items[win.prize_id])
        for draw, win in zip(draws, batch.wins, strict=True)
    ]
    orders = await mark_orders(connection, box, _draws_by_order(given, batch.entries))
    numbers = await _take_numbers(connection, box.goods_id, given)
    await connection.copy_records_to_table(
        "order_items",
        records=list(_rows(box, given, orders, numbers)),
        columns=ORDER_ITEM_COLUMNS,
    )


def _draws_by_order(
    given: Sequence[_WonItem], entries: Iterable[DrawEntry]
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
    connection: Connection, goods_id: int, given: Sequence[_WonItem]
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
    box: OrderedBox,
    given: Sequence[_WonItem],
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
            box.pool_id,
            win.seq,
            win.user_id,
            box.goods_id,
            box.num,
            item.goods_item_id,
            draw.goodslist_type,
            item.shang_id,
            win.prize_code,
            draw.ticket + 1,
            order["order_type"],
            numbers[_ALL_LEVELS],
            numbers[item.shang_id],
            win.won_at,
        )
