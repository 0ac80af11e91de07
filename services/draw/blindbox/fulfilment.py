"""
One order, from reserved to its end: drawn, or released when it definitely drew nothing.

Whatever breaks on the way leaves it reserved, and whoever comes next goes on from there: the same
order sent again, or the sweeper. All of them use the attempt's one request id, so it draws once.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from services.common.errors import (
    ConflictError,
    GoodsOffShelfError,
    KujiError,
    OverloadedError,
    PoolNotLoadedError,
    SoldOutError,
    UnavailableError,
)
from services.common.failures import to_kuji_error
from services.draw.batcher import Batcher
from services.draw.blindbox.orders import Order, Orders, OrderStatus
from services.draw.blindbox.shelf import Shelf
from services.draw.made import MadeDraw, fresh_draws
from services.draw.pools import Pools
from services.draw.refusals import refusal_of
from services.pool.rule.terms import (
    Answer,
    Confirm,
    DrawCode,
    Intent,
    PoolStatus,
    PoolStore,
    Voided,
)
from services.pool.store.layout import PackedOrder
from services.pool.store.redis_store import ClockOffError

# A pool knows a request id for 24 h; past this age, asking by it could draw a second time.
DRAWABLE_S = 20 * 3600
_NOTE_S = 1.0


class OrderDrawn(NamedTuple):
    """
    What an order drew.

    Args:
        draws: Given where they were made just now.
        confirm: What must hold before these are announced.
    """

    first_seq: int
    places: int
    draws: Sequence[MadeDraw] = ()
    confirm: Confirm = Confirm.STORE


class OrderReleased(NamedTuple):
    """
    The order drew nothing, and may be reserved again.

    Args:
        refusal: Why. ConflictError: this attempt was given up by somebody else.
    """

    refusal: KujiError


class Fulfilment:
    """Brings orders to their end."""

    def __init__(
        self, orders: Orders, shelf: Shelf, pools: Pools, batcher: Batcher, store: PoolStore
    ) -> None:
        self._orders = orders
        self._shelf = shelf
        self._pools = pools
        self._batcher = batcher
        self._store = store

    async def settle(self, order: Order, address: str = "") -> OrderDrawn | OrderReleased:
        """
        Bring *order* to its end; the caller bounds the wait.

        Args:
            address: Where its user is; empty: not told.

        Raises:
            UnavailableError, PoolNotLoadedError, or what a store raises: The outcome is not known;
                it stays reserved.
        """
        if order.status == OrderStatus.DRAWN:
            assert order.first_seq is not None
            assert order.places is not None
            return OrderDrawn(order.first_seq, order.places)
        intent = await self._intent(order, address)
        if order.age_s >= DRAWABLE_S:
            return await self._look_up(order, intent)
        return await self._draw(order, intent)

    async def _intent(self, order: Order, address: str) -> Intent:
        pool = await self._pools.of_id(order.pool_id)
        noted = PackedOrder(order.order_id, order.request_id.encode())
        return pool.intent(order.user_id, order.draw_request_id, order.draw_count, noted, address)

    async def _draw(self, order: Order, intent: Intent) -> OrderDrawn | OrderReleased:
        try:
            drawing = await self._batcher.draw(order.pool_id, [intent])
        except OverloadedError as shed:
            return await self._give_up(order, intent, shed)
        answer = drawing.answers[0]
        match answer.code:
            case DrawCode.DRAWN | DrawCode.REPLAYED:
                draws = fresh_draws(order.pool_id, drawing, answer)
                drew = OrderDrawn(answer.first_seq, answer.places, draws, drawing.confirm)
                return await self._drawn(order, drew)
            case DrawCode.NOT_LOADED:
                raise PoolNotLoadedError
            case DrawCode.CLOCK_OFF:
                raise ClockOffError
            case DrawCode.VOID:
                return await self._released(order, ConflictError())
        return await self._give_up(order, intent, await self._refusal(order, answer))

    async def _look_up(self, order: Order, intent: Intent) -> OrderDrawn | OrderReleased:
        """What became of an order that is too old to draw: the ledger or the records know."""
        voided = await self._void(order, intent)
        if voided.places:
            return await self._drawn(order, OrderDrawn(*voided))
        live = await self._store.inspect(order.pool_id)
        if live is None:
            raise PoolNotLoadedError
        given_up = ConflictError()
        if not await self._orders.release_recorded(order, live.seq, given_up):
            raise UnavailableError
        return OrderReleased(given_up)

    async def _give_up(
        self, order: Order, intent: Intent, refusal: KujiError
    ) -> OrderDrawn | OrderReleased:
        """Release an order that was refused, unless somebody drew for it meanwhile."""
        voided = await self._void(order, intent)
        if voided.places:
            return await self._drawn(order, OrderDrawn(*voided))
        return await self._released(order, refusal)

    async def _void(self, order: Order, intent: Intent) -> Voided:
        try:
            voided = await self._store.void(order.pool_id, intent.digest, intent.draws)
        except OverloadedError as error:  # the store is full: it takes no void ones either
            raise UnavailableError from error
        if voided is None:
            raise PoolNotLoadedError
        return voided

    async def _released(self, order: Order, refusal: KujiError) -> OrderReleased:
        await self._orders.release(order, refusal)
        return OrderReleased(refusal)

    async def _drawn(self, order: Order, drew: OrderDrawn) -> OrderDrawn:
        if drew.confirm is Confirm.RECORDED:  # the recorder notes it, and is waited for
            return drew
        try:
            async with asyncio.timeout(_NOTE_S):
                await self._orders.note_drawn(order, drew.first_seq, drew.places)
        except Exception as error:  # noqa: BLE001  # the recorder notes it too; it is drawn
            to_kuji_error(error, "note_drawn")
        return drew

    async def _refusal(self, order: Order, answer: Answer) -> KujiError:
        if answer.code is not DrawCode.NOT_ONGOING:
            return refusal_of(answer)
        has_ended = answer.detail == PoolStatus.ENDED
        if has_ended and not await self._shelf.have_ended(order.goods_id):
            return SoldOutError(0)
        return GoodsOffShelfError()
