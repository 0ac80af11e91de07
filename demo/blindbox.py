"""Blind boxes: buyers empty a box, all at once; then they order infinite goods and use cards."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import grpc
from kuji.blindbox.v1 import blindbox_pb2, blindbox_pb2_grpc

from demo.client import (
    PATIENCE_S,
    RPC_TIMEOUT_S,
    Edge,
    EdgeError,
    Json,
    Player,
    asked,
    bearer,
    open_channel,
    passes,
)
from demo.goods import ICHIBAN, INFINITE, OnSale, give_cards, put_on_sale
from demo.system import System
from services.common.orders import card_order_num
from services.common.status import error_info_of

LARGEST_ORDER = 5
_GRPC_SHARE = 0.25
_EXPECTED = frozenset({"SOLD_OUT", "ITEM_CARD_USED"})  # refusals; all others end the demo


class Item(NamedTuple):
    """An item drawn, as its buyer was told it; see kuji.blindbox.v1.DrawnItem."""

    goods_item_id: int
    title: str
    img_url: str
    shang_id: int
    shang_title: str
    shang_color: str
    price: str
    sc_money: str
    prize_code: str
    luck_no: int
    draw_time: int


class Order(NamedTuple):
    """An order for box 1, or a card's draw: its order_num is "card:<id>"."""

    order_num: str
    user_id: int
    goods_id: int
    tickets: int


class Receipt(NamedTuple):
    """What an order was told: a refusal, or an id and the items, a last prize at the end."""

    refusal: str = ""
    order_id: int = 0
    items: tuple[Item, ...] = ()
    draw_ids: tuple[str, ...] = ()


class Answered(NamedTuple):
    """
    An order that was answered.

    Args:
        over_grpc: Which way it went.
        attempts: Until it was answered.
        seconds: From the first attempt to the answer.
    """

    order: Order
    receipt: Receipt
    over_grpc: bool
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Sale:
    """
    What is sold.

    Args:
        buyers: Who buy, all at once: first the box until it is empty, then infinite goods.
        infinite_orders: For the infinite goods, spread evenly.
        cards: Item cards for the infinite goods, spread evenly.
        seed: Decides how large each order is and which way it goes. (What it draws, the boxes'
            secret seeds decide.)
    """

    buyers: int = 40
    infinite_orders: int = 400
    cards: int = 20
    seed: int = 1

    def orders(self, goods: str, buyer: int) -> Iterator[tuple[int, bool]]:
        """A buyer's orders without end: how many tickets, and whether over gRPC."""
        chance = random.Random(f"{self.seed} {goods} {buyer}")  # noqa: S311  # no secret
        while True:
            yield chance.randint(1, LARGEST_ORDER), chance.random() < _GRPC_SHARE

    def share(self, things: int, buyer: int) -> int:
        """How many of *things* a buyer gets."""
        each, more = divmod(things, self.buyers)
        return each + (buyer < more)


@dataclass(slots=True)
class Sold:
    """
    Goods that were sold to their end.

    Args:
        box: The ichiban goods.
        infinite: The infinite goods.
        players: Who bought.
        cards: Whose cards there were.
        answered: Every order that was answered.
        unanswered: Order numbers whose outcome never became known, with the last failure.
        seconds: How long the orders took.
    """

    box: OnSale
    infinite: OnSale
    players: Sequence[Player]
    cards: Sequence[tuple[Player, int]]
    answered: list[Answered] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


async def sell(
    system: System, sale: Sale, on_answer: Callable[[Answered], None] = lambda _: None
) -> Sold:
    """Put goods on sale, register buyers and let them buy; *on_answer* gets each answer."""
    name = f"demo-{secrets.token_hex(3)}"
    token = await system.log_in()
    box = await put_on_sale(system, token, ICHIBAN)
    infinite = await put_on_sale(system, token, INFINITE)
    players = await system.register(sale.buyers, name)
    shares = [sale.share(sale.cards, buyer) for buyer in range(sale.buyers)]
    cards = await give_cards(system.edge, token, infinite, dict(zip(players, shares, strict=True)))
    sold = Sold(box, infinite, players, cards)
    started = time.perf_counter()
    async with open_channel(system.endpoints.grpc["draw"]) as channel:
        ways = [_by_json(system.edge, token), _by_grpc(channel, token)]
        buyers = Buyers(sale, sold, name, ways, _shown(system, sale, box, on_answer))
        await buyers.empty_box()
        async with asyncio.TaskGroup() as group:
            group.create_task(buyers.order_infinite())
            group.create_task(buyers.use_cards(system.edge))
    sold.seconds = time.perf_counter() - started
    return sold


def _shown(
    system: System, sale: Sale, box: OnSale, on_answer: Callable[[Answered], None]
) -> Callable[[Answered], None]:
    """*on_answer*, and a bar for each of the two goods."""
    tickets = system.bars.add_task("the box", total=ICHIBAN.tickets, note="tickets")
    total = sale.infinite_orders + sale.cards
    orders = system.bars.add_task("infinite", total=total, note="orders and cards")

    def show(one: Answered) -> None:
        if not one.receipt.refusal:
            is_box = one.order.goods_id == box.goods_id
            system.bars.advance(*((tickets, one.order.tickets) if is_box else (orders, 1)))
        on_answer(one)

    return show


OrderCall = Callable[[Order], Awaitable[Receipt]]


class Buyers:
    """
    All buyers, who buy at once.

    Args:
        sold: Gets what they are told.
        prefix: Of order numbers, unlike that of any other demo.
        ways: To place an order: by JSON, by gRPC.
        on_answer: Called with each answer.
        patience_s: How long an order is repeated.
    """

    def __init__(
        self,
        sale: Sale,
        sold: Sold,
        prefix: str,
        ways: Sequence[OrderCall],
        on_answer: Callable[[Answered], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._sale = sale
        self._sold = sold
        self._prefix = prefix
        self._ways = ways
        self._on_answer = on_answer
        self._patience_s = patience_s

    async def empty_box(self) -> None:
        """Buy until nothing is left."""
        async with asyncio.TaskGroup() as group:
            for buyer, player in enumerate(self._sold.players):
                orders = self._sale.orders("box", buyer)
                group.create_task(self._buy_until_empty(player, orders))

    async def _buy_until_empty(self, player: Player, orders: Iterator[tuple[int, bool]]) -> None:
        largest = LARGEST_ORDER
        for number, (wanted, over_grpc) in enumerate(orders):
            tickets = min(wanted, largest)
            receipt = await self._order(self._sold.box, player, number, tickets, over_grpc)
            if receipt is None:
                return
            if receipt.refusal:
                largest = tickets - 1  # so many are left at most
            if not largest:
                return

    async def order_infinite(self) -> None:
        """Buy as many as the sale says."""

        async def buy(buyer: int, player: Player) -> None:
            share = self._sale.share(self._sale.infinite_orders, buyer)
            orders = islice(self._sale.orders("infinite", buyer), share)
            for number, (tickets, over_grpc) in enumerate(orders):
                await self._order(self._sold.infinite, player, number, tickets, over_grpc)

        async with asyncio.TaskGroup() as group:
            for buyer, player in enumerate(self._sold.players):
                group.create_task(buy(buyer, player))

    async def _order(
        self, goods: OnSale, player: Player, number: int, tickets: int, over_grpc: bool
    ) -> Receipt | None:
        order_num = f"{self._prefix}-{goods.goods_id}-{player.user_id}-{number}"
        order = Order(order_num, player.user_id, goods.goods_id, tickets)
        return await self._answer(order_num, order, self._ways[over_grpc], over_grpc)

    async def use_cards(self, edge: Edge) -> None:
        """Draw with each card of its owner; with the first of them from two windows."""
        goods_id = self._sold.infinite.goods_id
        uses = [(*card, "a window") for card in self._sold.cards]
        uses += [(*card, "another window") for card in self._sold.cards[:1]]
        async with asyncio.TaskGroup() as group:
            for player, card_id, window in uses:
                order = Order(card_order_num(card_id), player.user_id, goods_id, 1)
                way = _by_card(edge, player, card_id, f"{window} of {card_id}")
                group.create_task(self._answer(f"card {card_id}, {window}", order, way, False))

    async def _answer(
        self, name: str, order: Order, way: OrderCall, over_grpc: bool
    ) -> Receipt | None:
        """An order's answer, repeating it until its outcome is known; None: it never was."""
        try:
            receipt, attempts, seconds = await asked(lambda: way(order), self._patience_s)
        except Exception as error:
            if not passes(error):
                raise
            self._sold.unanswered[name] = repr(error)
            return None
        answered = Answered(order, receipt, over_grpc, attempts, seconds)
        self._sold.answered.append(answered)
        self._on_answer(answered)
        return receipt


def _by_json(edge: Edge, token: str) -> OrderCall:
    """POST /api/blindbox/orders; *token*: an administrator's."""

    async def call(order: Order) -> Receipt:
        body = _fields(order)
        try:
            data = await edge.call("POST", "/api/blindbox/orders", token, body)
        except EdgeError as error:
            return _refused(error, error.reason)
        items = tuple(map(_item, data["results"]))
        return Receipt("", data["order_id"], items, _draw_ids(data["proofs"]))

    return call


def _by_grpc(channel: grpc.aio.Channel, token: str) -> OrderCall:
    """BlindBoxService.PlaceOrder, from the committed stubs; *token*: an administrator's."""
    stub = blindbox_pb2_grpc.BlindBoxServiceStub(channel)

    async def call(order: Order) -> Receipt:
        request = blindbox_pb2.PlaceOrderRequest(**_fields(order))
        try:
            told = await stub.PlaceOrder(request, metadata=bearer(token), timeout=RPC_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            info = error_info_of(error)
            return _refused(error, info.reason if info else "")
        items = (Item(*[getattr(one, name) for name in Item._fields]) for one in told.results)
        draw_ids = tuple(proof.draw_id for proof in told.proofs)
        return Receipt("", told.order_id, tuple(items), draw_ids)

    return call


def _by_card(edge: Edge, player: Player, card_id: int, request_id: str) -> OrderCall:
    """POST /api/blindbox/item_card_draw, as the card's owner."""

    async def call(order: Order) -> Receipt:
        body = {"goods_id": order.goods_id, "item_card_id": card_id, "request_id": request_id}
        try:
            data = await edge.call("POST", "/api/blindbox/item_card_draw", player.token, body)
        except EdgeError as error:
            return _refused(error, error.reason)
        return Receipt("", data["order_id"], (_item(data),), _draw_ids([data["proof"]]))

    return call


def _fields(order: Order) -> dict[str, Any]:
    names = ("order_num", "user_id", "goods_id", "count")
    return {**dict(zip(names, order, strict=True)), "num": 1}


def _refused(error: Exception, reason: str) -> Receipt:
    if reason not in _EXPECTED:
        raise error
    return Receipt(refusal=reason)


def _item(result: Json) -> Item:
    return Item(*[result[name] for name in Item._fields])


def _draw_ids(proofs: Sequence[Json]) -> tuple[str, ...]:
    return tuple(proof["draw_id"] for proof in proofs)
