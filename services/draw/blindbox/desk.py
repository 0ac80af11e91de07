"""Where orders and cards are taken: reserve, settle, answer; and again where others interfere."""

import asyncio
import uuid
from typing import NamedTuple

from services.common.errors import (
    BoxProtectedError,
    ConflictError,
    GoodsOffShelfError,
    InvalidArgumentError,
    SoldOutError,
    UnavailableError,
)
from services.common.orders import OrderType
from services.draw.blindbox.cards import CardOrders
from services.draw.blindbox.fulfilment import Fulfilment, OrderDrawn
from services.draw.blindbox.orders import Order, Orders
from services.draw.blindbox.requests import WantedCard, WantedOrder
from services.draw.blindbox.results import DrawnItem, drawn_items
from services.draw.blindbox.shelf import OpenBox, Shelf
from services.draw.confirmation import Confirmer, UnconfirmedWin
from services.draw.guard import MemoryGuard
from services.draw.made import MadeDraws
from services.pool.rule.terms import Confirm

ATTEMPTS = 20
_PAUSE_S = 0.005  # further apart each time, so that calls which cross each other get in step
_MAX_BOXES = 20  # tried for a card that names none


class Served(NamedTuple):
    """What an order gave: its items in the order of drawing, a last prize as one more."""

    order_id: int
    order_num: str
    items: list[DrawnItem]


class Desk:
    """Takes orders and cards."""

    def __init__(
        self,
        shelf: Shelf,
        orders: Orders,
        cards: CardOrders,
        fulfilment: Fulfilment,
        made: MadeDraws,
        confirmer: Confirmer,
        guard: MemoryGuard,
    ) -> None:
        self._shelf = shelf
        self._orders = orders
        self._cards = cards
        self._fulfilment = fulfilment
        self._made = made
        self._confirmer = confirmer
        self._guard = guard

    async def place(self, wanted: WantedOrder) -> Served:
        """
        What an order gives, or gave; the caller bounds the wait.

        Raises:
            KujiError: It was refused, and drew nothing; UnavailableError: not known.
        """
        self._guard.check()
        box = await self._box(wanted.goods_id, wanted.num)
        if wanted.order_type not in (0, box.order_type):
            raise InvalidArgumentError("order_type", f"Of these goods it is {box.order_type:d}.")
        for attempt in range(ATTEMPTS):
            await asyncio.sleep(attempt * _PAUSE_S)
            served = await self._settled(await self._orders.reserve(wanted, box))
            if served is not None:
                return served
        raise UnavailableError

    async def use_card(self, wanted: WantedCard) -> Served:
        """
        What a card gives, or gave to the same request; the caller bounds the wait.

        Raises:
            KujiError: It was refused, and drew nothing; UnavailableError: not known.
        """
        self._guard.check()
        wanted = wanted._replace(request_id=wanted.request_id or uuid.uuid4().hex)
        protected = None
        for num in await self._nums(wanted):
            try:
                return await self._use_on(wanted, await self._shelf.box(wanted.goods_id, num))
            except SoldOutError:
                continue
            except BoxProtectedError as error:
                protected = protected or error
        if protected is not None:
            raise protected
        return await self._used_before(wanted)

    async def _box(self, goods_id: int, num: int) -> OpenBox:
        if not num and await self._shelf.order_type(goods_id) is OrderType.ICHIBAN:
            raise InvalidArgumentError("num", "Name the num: these goods are in numbered boxes.")
        return await self._shelf.box(goods_id, num or 1)

    async def _nums(self, wanted: WantedCard) -> list[int]:
        """The boxes to try, one after the other."""
        if wanted.num:
            return [wanted.num]
        if await self._shelf.order_type(wanted.goods_id) is OrderType.INFINITE:
            return [1]
        return (await self._shelf.nums_left(wanted.goods_id))[:_MAX_BOXES]

    async def _use_on(self, wanted: WantedCard, box: OpenBox) -> Served:
        for attempt in range(ATTEMPTS):
            await asyncio.sleep(attempt * _PAUSE_S)
            order = await self._cards.reserve(wanted, box) or await self._cards.taken(wanted)
            served = await self._settled(order, wanted.address) if order else None
            if served is not None:
                return served
        raise UnavailableError

    async def _used_before(self, wanted: WantedCard) -> Served:
        """What the same request drew before everything was sold out."""
        order = await self._cards.taken(wanted)
        served = await self._settled(order, wanted.address) if order else None
        if served is not None:
            return served
        await self._shelf.box(wanted.goods_id, 1)  # GoodsNotFoundError: none was ever opened
        if await self._shelf.have_ended(wanted.goods_id):
            raise GoodsOffShelfError
        raise SoldOutError(0)

    async def _settled(self, order: Order, address: str = "") -> Served | None:
        """None: this attempt was given up meanwhile; nothing was drawn."""
        outcome = await self._fulfilment.settle(order, address)
        if isinstance(outcome, OrderDrawn):
            return await self._served(order, outcome)
        if isinstance(outcome.refusal, ConflictError):
            return None
        raise outcome.refusal

    async def _served(self, order: Order, drew: OrderDrawn) -> Served:
        box = await self._shelf.box(order.goods_id, order.num)
        if drew.draws and drew.confirm is Confirm.RECORDED:
            win = UnconfirmedWin(drew.first_seq, order.user_id, order.draw_request_id)
            await self._confirmer.confirm(box.pool_id, [win])
        draws = drew.draws or await self._made.read(box.pool_id, drew.first_seq, drew.places)
        return Served(order.order_id, order.order_num, drawn_items(box, draws))
