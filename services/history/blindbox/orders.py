"""What orders gave, to those who ask for their own."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import asyncpg

from services.common.orders import order_item_id
from services.common.postgres import load_queries
from services.common.timestamps import ms_of
from services.history.blindbox.tail import LedgerTails, TailDraw
from services.pool.marks.missing import refuse_if_answered

_queries = load_queries(__file__)
_WON = 1


class OrderPrize(NamedTuple):
    """
    An item that an order gave.

    Args:
        id: Of the order item, also before there is one.
        price: Of the item.
        sc_money: Its recovery value.
        goodslist_type: See GoodslistType.
        status: 1 won, 2 recycled.
        drawn_ms: Unix milliseconds.
        luck_no: The ticket drawn, from 1.
    """

    id: int
    order_id: int
    title: str
    image_url: str
    price: Decimal
    sc_money: Decimal
    goodslist_type: int
    status: int
    drawn_ms: int
    prize_code: str
    luck_no: int


class _Order(NamedTuple):
    """An order and how far its pool is recorded; first_seq None: not known to be drawn."""

    order_id: int
    pool_id: int
    draw_request_id: str
    status: str
    first_seq: int | None
    recorded_seq: int

    @property
    def recorded_seqs(self) -> dict[int, int]:
        """See HasPositions."""
        return {self.pool_id: self.recorded_seq}


class OrderReader:
    """Finds orders and what they gave."""

    def __init__(self, postgres: asyncpg.Pool, tails: LedgerTails) -> None:
        self._postgres = postgres
        self._tails = tails

    async def prizes(self, user_id: int, order_num: str, goods_type: str) -> list[OrderPrize]:
        """
        What an order of goods of this type gave; nothing where there is no such one.

        Args:
            user_id: Whose it has to be; 0: whoever's.

        Raises:
            UnavailableError: It was drawn, and the store is an older copy, without it.
        """
        order = await self._find(user_id, order_num, goods_type)
        if order is None or order.status == "released":
            return []
        # The second look is for one that was recorded, and trimmed, between the first two.
        return (
            await self._recorded(order.order_id)
            or await self._unrecorded(order)
            or await self._recorded(order.order_id)
        )

    async def _find(self, user_id: int, order_num: str, goods_type: str) -> _Order | None:
        row = await _queries.find_order(
            self._postgres, order_num=order_num, user_id=user_id, goods_type=goods_type
        )
        return None if row is None else _Order(*row)

    async def _recorded(self, order_id: int) -> list[OrderPrize]:
        rows = _queries.recorded_prizes(self._postgres, order_id=order_id)
        return [_prize(order_id, row) async for row in rows]

    async def _unrecorded(self, order: _Order) -> list[OrderPrize]:
        draws = await self._draws_near(order)
        request_id = order.draw_request_id.encode()
        return await self._describe(
            order.order_id, [one for one in draws if one.draw.request_id == request_id]
        )

    async def _draws_near(self, order: _Order) -> list[TailDraw]:
        """Draws among which are those of the order, if the ledger has them."""
        if order.first_seq is not None:
            draws = await self._tails.entry_at(order.pool_id, order.first_seq)
            if draws is None:
                await refuse_if_answered(self._postgres, order.pool_id, order.first_seq)
            return draws or []

        # A draw is answered also where its order could not be marked any more.
        async def look() -> _Order:
            return order

        _, draws = await self._tails.settle(look)
        return draws

    async def _describe(self, order_id: int, draws: Sequence[TailDraw]) -> list[OrderPrize]:
        if not draws:
            return []
        prize_ids = list({one.draw.prize_id for one in draws})
        found = _queries.items_of_prizes(self._postgres, prize_ids=prize_ids)
        items = {row["prize_id"]: row async for row in found}
        return [_fresh_prize(order_id, one, items[one.draw.prize_id]) for one in draws]


def _prize(order_id: int, row: asyncpg.Record) -> OrderPrize:
    return OrderPrize(
        row["id"],
        order_id,
        row["title"],
        row["img_url"],
        row["price"],
        row["sc_money"],
        row["goodslist_type"],
        row["status"],
        ms_of(row["created_at"]),
        row["prize_code"],
        row["luck_no"],
    )


def _fresh_prize(order_id: int, drawn: TailDraw, item: asyncpg.Record) -> OrderPrize:
    return OrderPrize(
        order_item_id(order_id, drawn.draw.draw_index),
        order_id,
        item["title"],
        item["img_url"],
        item["price"],
        item["sc_money"],
        drawn.draw.goodslist_type,
        _WON,
        drawn.drawn_ms,
        drawn.prize_code,
        drawn.luck_no,
    )
