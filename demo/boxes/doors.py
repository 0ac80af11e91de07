"""Two ways to an order's draw: JSON through Envoy, and the gRPC stubs; and the way of a card."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import grpc
from kuji.blindbox.v1 import blindbox_pb2, blindbox_pb2_grpc

from demo.accounts import Player
from demo.edge import Edge, Json
from demo.patience import EdgeError, asked
from demo.rpc import RPC_TIMEOUT_S, bearer
from services.common.orders import card_order_num
from services.common.status import error_info_of

SOLD_OUT = "SOLD_OUT"
ITEM_CARD_USED = "ITEM_CARD_USED"


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


class Wanted(NamedTuple):
    """An order, or a card's draw: its order_num is "card:<id>"."""

    order_num: str
    user_id: int
    goods_id: int
    tickets: int

    def fields(self) -> dict[str, Any]:
        """Of a PlaceOrderRequest; the box is number 1."""
        return {
            "order_num": self.order_num,
            "user_id": self.user_id,
            "goods_id": self.goods_id,
            "num": 1,
            "count": self.tickets,
        }


@dataclass(frozen=True, slots=True)
class Ack:
    """
    An order that was answered.

    Args:
        wanted: What was asked, the same in every attempt.
        refusal: A reason; "": it drew.
        order_id: 0: it did not draw.
        items: What it gave, a last prize at the end.
        draw_ids: One for each of *items*.
        over_grpc: Which way it went.
        attempts: Until it was answered.
        seconds: From the first attempt to the answer.
    """

    wanted: Wanted
    refusal: str
    order_id: int
    items: tuple[Item, ...]
    draw_ids: tuple[str, ...]
    over_grpc: bool
    attempts: int
    seconds: float


class _Receipt(NamedTuple):
    refusal: str = ""
    order_id: int = 0
    items: tuple[Item, ...] = ()
    draw_ids: tuple[str, ...] = ()


class Door(Protocol):
    """A way to an order's draw."""

    async def order(self, wanted: Wanted) -> Ack:
        """Place an order, repeating it until its outcome is known; SOLD_OUT is one."""


class JsonDoor:
    """POST /api/blindbox/orders; *token*: an administrator's."""

    def __init__(self, edge: Edge, token: str) -> None:
        self._edge = edge
        self._token = token

    async def order(self, wanted: Wanted) -> Ack:
        """See Door."""
        path, body = "/api/blindbox/orders", wanted.fields()

        async def call() -> _Receipt:
            try:
                data = await self._edge.call("POST", path, self._token, body)
            except EdgeError as error:
                return _expected(error, error.reason, SOLD_OUT)
            items = tuple(_item(result) for result in data["results"])
            draw_ids = tuple(proof["draw_id"] for proof in data["proofs"])
            return _Receipt("", data["order_id"], items, draw_ids)

        return await _acknowledged(wanted, False, call)


class GrpcDoor:
    """BlindBoxService.PlaceOrder, from the committed stubs; *token*: an administrator's."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._stub = blindbox_pb2_grpc.BlindBoxServiceStub(channel)
        self._metadata = bearer(token)

    async def order(self, wanted: Wanted) -> Ack:
        """See Door."""
        request = blindbox_pb2.PlaceOrderRequest(**wanted.fields())

        async def call() -> _Receipt:
            try:
                response = await self._stub.PlaceOrder(
                    request, metadata=self._metadata, timeout=RPC_TIMEOUT_S
                )
            except grpc.aio.AioRpcError as error:
                info = error_info_of(error)
                return _expected(error, info.reason if info else "", SOLD_OUT)
            items = tuple(
                Item(*[getattr(result, name) for name in Item._fields])
                for result in response.results
            )
            draw_ids = tuple(proof.draw_id for proof in response.proofs)
            return _Receipt("", response.order_id, items, draw_ids)

        return await _acknowledged(wanted, True, call)


class Doors(NamedTuple):
    """Both ways."""

    json: Door
    grpc: Door


async def draw_with_card(
    edge: Edge, player: Player, goods_id: int, item_card_id: int, request_id: str
) -> Ack:
    """
    Use a card of *player*, repeating the request until its outcome is known; ITEM_CARD_USED is one.
    """
    wanted = Wanted(card_order_num(item_card_id), player.user_id, goods_id, 1)
    body = {"goods_id": goods_id, "item_card_id": item_card_id, "request_id": request_id}

    async def call() -> _Receipt:
        try:
            data = await edge.call("POST", "/api/blindbox/item_card_draw", player.token, body)
        except EdgeError as error:
            return _expected(error, error.reason, ITEM_CARD_USED)
        return _Receipt("", data["order_id"], (_item(data),), (data["proof"]["draw_id"],))

    return await _acknowledged(wanted, False, call)


def _expected(error: Exception, reason: str, expected: str) -> _Receipt:
    """The receipt of a refusal that is *expected*; others are raised."""
    if reason != expected:
        raise error
    return _Receipt(refusal=reason)


def _item(result: Json) -> Item:
    return Item(*[result[name] for name in Item._fields])


async def _acknowledged(
    wanted: Wanted, over_grpc: bool, call: Callable[[], Awaitable[_Receipt]]
) -> Ack:
    receipt, attempts, seconds = await asked(call)
    return Ack(wanted, *receipt, over_grpc, attempts, seconds)
