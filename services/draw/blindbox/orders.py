"""The rows of orders: each reserved, then drawn or released."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import asyncpg

from services.common.errors import KujiError, OrderConflictError
from services.common.orders import draw_request_id
from services.common.postgres import load_queries
from services.draw.blindbox.requests import WantedOrder
from services.draw.blindbox.shelf import OpenBox

_queries: Any = load_queries(__file__)


class OrderStatus(StrEnum):
    """What has become of an order."""

    RESERVED = "reserved"
    DRAWN = "drawn"
    RELEASED = "released"


class Order(NamedTuple):
    """
    An order, as it was read.

    Args:
        request_id: The card owner's name for it; "" for a shop's.
        attempt: The time it is reserved: 1, 2, 3, …
        draw_request_id: The draw's in the ledger, of this attempt.
        first_seq, places: Of its draws, once DRAWN; else None.
        reserved_at: While RESERVED: since when.
        age_s: Seconds since then.
    """

    order_id: int
    order_num: str
    user_id: int
    goods_id: int
    num: int
    pool_id: int
    draw_count: int
    request_id: str
    attempt: int
    draw_request_id: str
    status: str
    first_seq: int | None
    places: int | None
    reserved_at: datetime
    age_s: float


class Cursor(NamedTuple):
    """A place among the reserved orders, oldest first."""

    reserved_at: datetime
    order_id: int


OLDEST = Cursor(datetime.fromtimestamp(0, UTC), 0)


class Orders:
    """Reserves orders, and notes what became of them."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres

    async def reserve(self, wanted: WantedOrder, box: OpenBox) -> Order:
        """
        The order of this number: reserved now, or before, or drawn.

        Raises:
            OrderConflictError: The number names another order.
        """
        row = await reserve(
            _queries.reserve_order,
            self._postgres,
            order_num=wanted.order_num,
            order_type=box.order_type,
            user_id=wanted.user_id,
            goods_id=box.goods_id,
            num=box.num,
            pool_id=box.pool_id,
            draw_count=wanted.draws,
            draw_request_id=draw_request_id(wanted.order_num, 1),
        )
        if row is None:
            raise OrderConflictError
        return order_of(row)

    async def note_drawn(self, order: Order, first_seq: int, places: int) -> None:
        """Note what this attempt drew, if nobody has."""
        await _queries.note_drawn(
            self._postgres,
            order_id=order.order_id,
            attempt=order.attempt,
            first_seq=first_seq,
            places=places,
        )

    async def release(self, order: Order, refusal: KujiError) -> None:
        """Note that this attempt draws nothing, ever; its request id was made void before."""
        await _queries.release(
            self._postgres,
            order_id=order.order_id,
            attempt=order.attempt,
            refusal=refusal.reason_name,
        )

    async def release_recorded(self, order: Order, seq: int, refusal: KujiError) -> bool:
        """
        Note that this attempt drew nothing, if the records say so.

        Args:
            seq: Newest draw that it can be; they are asked once they reach it.
        """
        released = await _queries.release_recorded(
            self._postgres,
            order_id=order.order_id,
            attempt=order.attempt,
            seq=seq,
            refusal=refusal.reason_name,
        )
        return released is not None

    async def reserved_longer(self, after_s: float, after: Cursor, limit: int) -> Sequence[Order]:
        """Orders that have been reserved for longer than *after_s*, the oldest first."""
        rows = _queries.reserved_longer(
            self._postgres,
            after_s=after_s,
            after_at=after.reserved_at,
            after_id=after.order_id,
            limit=limit,
        )
        return [order_of(row) async for row in rows]


async def reserve(
    statement: Callable[..., Awaitable[asyncpg.Record | None]],
    postgres: asyncpg.Pool,
    **arguments: object,
) -> asyncpg.Record | None:
    """The row that a reserving *statement* gives."""
    try:
        return await statement(postgres, **arguments)
    except asyncpg.UniqueViolationError:
        # Two that insert at once may meet in an index that ON CONFLICT does not look at. The other
        # one has committed now, so this time it does.
        return await statement(postgres, **arguments)


def order_of(row: asyncpg.Record) -> Order:
    """A row with the columns of Order."""
    return Order(**row)
