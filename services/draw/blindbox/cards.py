"""Item cards: taken for one draw at a time, each by the one order that stands for it."""

from typing import Any

import asyncpg

from services.common.errors import ItemCardInvalidError, ItemCardUsedError, RequestIdReusedError
from services.common.orders import card_order_num, draw_request_id
from services.common.postgres import load_queries
from services.draw.blindbox.orders import Order, order_of, reserve
from services.draw.blindbox.requests import WantedCard
from services.draw.blindbox.shelf import OpenBox

_queries: Any = load_queries(__file__)


class CardOrders:
    """Takes cards."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres

    async def reserve(self, wanted: WantedCard, box: OpenBox) -> Order | None:
        """Take a free card of its owner's for a draw from *box*; None: it is not to be had."""
        order_num = card_order_num(wanted.item_card_id)
        row = await reserve(
            _queries.reserve_card,
            self._postgres,
            item_card_id=wanted.item_card_id,
            user_id=wanted.user_id,
            goods_id=box.goods_id,
            num=box.num,
            pool_id=box.pool_id,
            order_num=order_num,
            request_id=wanted.request_id,
            draw_request_id=draw_request_id(order_num, 1),
        )
        return order_of(row) if row else None

    async def taken(self, wanted: WantedCard) -> Order | None:
        """
        The order for which the card is taken, where it is the one wanted; None: it is free.

        Raises:
            ItemCardInvalidError: Unknown, another user's, or for other goods.
            ItemCardUsedError: It is taken for another draw.
            RequestIdReusedError: For the same request id, but from another box.
        """
        card = await _queries.card(self._postgres, item_card_id=wanted.item_card_id)
        if card is None or card["user_id"] != wanted.user_id:
            raise ItemCardInvalidError
        row = await _queries.order_of_card(self._postgres, item_card_id=wanted.item_card_id)
        if row is not None and row["request_id"] == wanted.request_id:
            return _same_draw(order_of(row), wanted)
        if card["goods_id"] not in (None, wanted.goods_id):
            raise ItemCardInvalidError
        if row is not None:
            raise ItemCardUsedError
        return None


def _same_draw(order: Order, wanted: WantedCard) -> Order:
    if wanted.goods_id != order.goods_id or wanted.num not in (0, order.num):
        raise RequestIdReusedError
    return order
