"""The audit of a blind box: its orders and their items against its draws. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.pool.books.findings import Finding, Kind

_Findings = Iterator[Finding]


class ItemMismatch(NamedTuple):
    """A recorded draw and an order item that do not fit; both: they differ; else one is missing."""

    seq: int
    is_recorded: bool
    is_listed: bool


class OrderMismatch(NamedTuple):
    """An order that has another number of items than its draw took places; 0: it did not draw."""

    order_num: str
    status: str
    places: int
    items: int


class Numbering(NamedTuple):
    """The items of goods' level *shang_id* (0: of all), their newest number, and their counter."""

    shang_id: int
    counter: int
    items: int
    last_no: int


class StuckOrder(NamedTuple):
    """An order that has been reserved for long."""

    order_num: str
    reserved_at: datetime


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """
    What does not fit in a box as recorded; a bounded number of each.

    Args:
        items: Draws up to recorded_seq and items.
        orders: Those whose draw is recorded, or that did not draw.
        numberings: Of its goods, with the first box alone: they count the items of all boxes.
        stuck: Orders that the sweeper could not resolve.
    """

    items: Sequence[ItemMismatch] = ()
    orders: Sequence[OrderMismatch] = ()
    numberings: Sequence[Numbering] = ()
    stuck: Sequence[StuckOrder] = ()


def audit_box(pool_id: int, facts: BoxFacts) -> _Findings:
    """What does not add up in one box; nothing: it balances."""
    for item in facts.items:
        yield _item(pool_id, item)
    for order in facts.orders:
        detail = f"order {order.order_num} {_drew(order)}, but has {order.items} items"
        yield Finding(Kind.ORDER_ITEMS, pool_id, None, order.items - order.places, detail)
    for numbering in facts.numberings:
        yield _numbering(pool_id, numbering)
    for stuck in facts.stuck:
        detail = f"order {stuck.order_num} is reserved since {stuck.reserved_at:%F %T} UTC"
        yield Finding(Kind.ORDER_STUCK, pool_id, None, 0, detail)


def _item(pool_id: int, item: ItemMismatch) -> Finding:
    if not item.is_listed:
        detail = f"draw {item.seq} is recorded, but is missing in order_items"
        return Finding(Kind.ITEM_MISSING, pool_id, None, -1, detail)
    if not item.is_recorded:
        detail = f"order_items lists draw {item.seq}, which is not recorded"
        return Finding(Kind.ITEM_UNFOUNDED, pool_id, None, 1, detail)
    detail = f"order_items and lottery_records differ on draw {item.seq}"
    return Finding(Kind.ITEM_DIFFERS, pool_id, None, 0, detail)


def _drew(order: OrderMismatch) -> str:
    return f"drew {order.places}" if order.status == "drawn" else f"is {order.status}"


def _numbering(pool_id: int, numbering: Numbering) -> Finding:
    shang_id, counter, items, last_no = numbering
    of = f"of level {shang_id}" if shang_id else "of its goods"
    if items == counter:
        detail = f"the newest item {of} is number {last_no}, the counter stands at {counter}"
        return Finding(Kind.ITEM_NUMBERS, pool_id, None, last_no - counter, detail)
    detail = f"{items} items {of}, but {counter} numbers were given"
    return Finding(Kind.ITEM_NUMBERS, pool_id, None, items - counter, detail)
