"""The orders of a batch's draws: found, or written again from the ledger, and marked as drawn."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import asyncpg

from services.common.postgres import Connection, load_queries
from services.pool.ledger.entries import OrderNote
from services.recorder.batch import LedgerViolationError
from services.recorder.boxes import OrderedBox
from services.recorder.lost_orders import (
    LostOrder,
    OrderKey,
    key_of,
    write_lost_orders,
    write_under_other_numbers,
)

_queries = load_queries(__file__)


class OrderDraws(NamedTuple):
    """
    What an order drew, by the ledger.

    Args:
        places: Draws, a last prize included.
        note: What the entry knows of the order besides; None where it knows nothing.
    """

    draw_count: int
    first_seq: int
    places: int
    drawn_at: datetime
    note: OrderNote | None


async def mark_orders(
    connection: Connection, box: OrderedBox, draws: Mapping[OrderKey, OrderDraws]
) -> Mapping[OrderKey, asyncpg.Record]:
    """
    The rows of the orders that made *draws*; from now on drawn.

    Args:
        connection: In the transaction that records the draws.

    Raises:
        LedgerViolationError: A draw has no order of its user, or one that was released.
    """
    orders = await _found_or_written(connection, box, draws)
    for key, drew in draws.items():
        _check(box.pool_id, key, drew, orders.get(key))
    reserved = [key for key in draws if orders[key]["status"] == "reserved"]
    if reserved:
        await _queries.mark_drawn(
            connection,
            ids=[orders[key]["id"] for key in reserved],
            first_seqs=[draws[key].first_seq for key in reserved],
            places=[draws[key].places for key in reserved],
        )
    return orders


async def _found_or_written(
    connection: Connection, box: OrderedBox, draws: Mapping[OrderKey, OrderDraws]
) -> dict[OrderKey, asyncpg.Record]:
    orders = await _found(connection, box.pool_id, draws)
    # An order may be taking the same id or number just now; the second time, it is seen.
    for write in (write_lost_orders, write_lost_orders, write_under_other_numbers):
        lost = [
            _lost(box, key, drew, drew.note)
            for key, drew in draws.items()
            if key not in orders and drew.note is not None
        ]
        if not lost:
            break
        orders |= await write(connection, lost)
        orders |= await _found(connection, box.pool_id, draws.keys() - orders.keys())
    return orders


async def _found(
    connection: Connection, pool_id: int, keys: Collection[OrderKey]
) -> dict[OrderKey, asyncpg.Record]:
    if not keys:
        return {}
    names = [key.draw_request_id.decode() for key in keys]
    rows = _queries.orders_of_draws(connection, request_ids=names)
    return {key_of(row): row async for row in rows if row["pool_id"] == pool_id}


def _lost(box: OrderedBox, key: OrderKey, drew: OrderDraws, note: OrderNote) -> LostOrder:
    return LostOrder(
        pool_id=box.pool_id,
        goods_id=box.goods_id,
        num=box.num,
        order_type=box.order_type,
        order_id=note.order_id,
        user_id=key.user_id,
        draw_count=drew.draw_count,
        request_id=note.request_id.decode(),
        draw_request_id=key.draw_request_id.decode(),
        first_seq=drew.first_seq,
        drawn_at=drew.drawn_at,
    )


def _check(pool_id: int, key: OrderKey, drew: OrderDraws, order: asyncpg.Record | None) -> None:
    if order is None:
        raise LedgerViolationError(
            f"pool {pool_id}: draw {drew.first_seq} has no order of user {key.user_id} "
            f"with the request id {key.draw_request_id.decode()}"
        )
    if order["status"] == "released":
        raise LedgerViolationError(
            f"pool {pool_id}: draw {drew.first_seq} belongs to order {order['id']}, "
            "which was released"
        )
