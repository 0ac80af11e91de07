"""
Orders that Postgres has lost, written again from the ledger.

Where Postgres was put back to an older state while the store went on, the ledger has draws whose
orders are not there, or only as they were before. Its entries know enough of an order to write it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import structlog

from services.common.orders import OrderType, card_of_order, order_of_draw
from services.common.postgres import Connection, load_queries
from services.recorder.metrics import RESTORED_ORDERS

log = structlog.get_logger()
_queries = load_queries(__file__)


class OrderKey(NamedTuple):
    """What tells the orders of a pool apart: users do not share request ids."""

    user_id: int
    draw_request_id: bytes


def key_of(order: asyncpg.Record) -> OrderKey:
    """The key of a row of orders."""
    return OrderKey(order["user_id"], order["draw_request_id"].encode())


class LostOrder(NamedTuple):
    """
    An order as the ledger knows it.

    Args:
        pool_id, goods_id, num: The box.
        order_type: Of the goods' orders, where no card is spent.
        order_id: As it was; another order may have it meanwhile.
        request_id: Its caller's name for it; "" for a shop's.
        draw_request_id: Its draws'.
        first_seq: Of its draws.
        drawn_at: When.
    """

    pool_id: int
    goods_id: int
    num: int
    order_type: OrderType
    order_id: int
    user_id: int
    draw_count: int
    request_id: str
    draw_request_id: str
    first_seq: int
    drawn_at: datetime

    def row(self) -> dict[str, Any]:
        """As it was."""
        order_num, attempt = order_of_draw(self.draw_request_id)
        card_id = card_of_order(order_num)
        return {
            **self._asdict(),
            "drawn_at": self.drawn_at.isoformat(),
            "order_num": order_num,
            "attempt": attempt,
            "item_card_id": card_id,
            "order_type": self.order_type if card_id is None else OrderType.ITEM_CARD,
        }

    def row_of_its_own(self) -> dict[str, Any]:
        """Under a number that no other order has, and without a card."""
        return {
            **self.row(),
            "order_num": f"lost:{self.pool_id}-{self.first_seq}",
            "item_card_id": None,
            "order_type": self.order_type,
        }


async def write_lost_orders(
    connection: Connection, lost: Sequence[LostOrder]
) -> Mapping[OrderKey, asyncpg.Record]:
    """
    Write *lost*, as reserved; what is there of an earlier attempt is brought up to it.

    An id that another order has meanwhile is given up for a fresh one.

    Args:
        connection: In the transaction that records their draws.

    Returns:
        Those that could be written: number and card of the others belong to another order.
    """
    rows = [order.row() for order in lost]
    orders = json.dumps(rows)
    await _queries.pass_lost_order_ids(connection, seen=max(order.order_id for order in lost))
    cards = [row["item_card_id"] for row in rows if row["item_card_id"]]
    if cards:
        await _queries.pass_lost_card_ids(connection, seen=max(cards))
        await _queries.restore_cards(connection, orders=orders)
    raised = _queries.raise_attempts(connection, orders=orders)
    written = {key_of(row): row async for row in raised}
    inserted = _queries.restore_orders(connection, orders=orders)
    written |= {key_of(row): row async for row in inserted}
    RESTORED_ORDERS.inc(len(written))
    log.warning("orders written from the ledger", pool_id=lost[0].pool_id, orders=len(written))
    return written


async def write_under_other_numbers(
    connection: Connection, lost: Sequence[LostOrder]
) -> Mapping[OrderKey, asyncpg.Record]:
    """
    Write *lost* under numbers of their own.

    Before the ledger was read again, somebody gave the number to another order, or spent the card
    once more. Both drew, and what was drawn is recorded.
    """
    rows = [order.row_of_its_own() for order in lost]
    for row in rows:
        told = {name: row[name] for name in ("order_num", "user_id", "draw_request_id")}
        log.warning("order whose number is another's by now", **told)
    inserted = _queries.restore_orders(connection, orders=json.dumps(rows))
    written = {key_of(row): row async for row in inserted}
    RESTORED_ORDERS.inc(len(written))
    return written
