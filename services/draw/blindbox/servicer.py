"""kuji.blindbox.v1.BlindBoxService on the wire: messages to domain and back."""

from collections.abc import Iterable
from typing import Any

from kuji.blindbox.v1 import blindbox_pb2

from services.common.context import RequestContext
from services.common.draw_id import parse_draw_id
from services.draw.blindbox.desk import Desk, Served
from services.draw.blindbox.inventory import Inventory, ItemOdds
from services.draw.blindbox.requests import WantedCard, WantedOrder
from services.draw.blindbox.results import DrawnItem
from services.draw.blindbox.shelf import Shelf
from services.draw.blindbox.validation import reason_of, validate
from services.draw.proof.prover import Prover


class BlindBoxServicer:
    """kuji.blindbox.v1.BlindBoxService."""

    def __init__(self, desk: Desk, inventory: Inventory, shelf: Shelf, prover: Prover) -> None:
        self._desk = desk
        self._inventory = inventory
        self._shelf = shelf
        self._prover = prover

    async def PlaceOrder(
        self, request: blindbox_pb2.PlaceOrderRequest, ctx: RequestContext
    ) -> blindbox_pb2.PlaceOrderResponse:
        """See BlindBoxService.PlaceOrder."""
        del ctx
        served = await self._desk.place(
            WantedOrder(
                request.order_num,
                request.user_id,
                request.goods_id,
                request.num,
                request.count,
                request.order_type,
            )
        )
        return blindbox_pb2.PlaceOrderResponse(
            order_id=served.order_id,
            order_num=served.order_num,
            results=[_drawn_item(one) for one in served.items],
            proofs=[_proof(one) for one in served.items],
        )

    async def DrawWithItemCard(
        self, request: blindbox_pb2.DrawWithItemCardRequest, ctx: RequestContext
    ) -> blindbox_pb2.DrawWithItemCardResponse:
        """See BlindBoxService.DrawWithItemCard."""
        served = await self._desk.use_card(
            WantedCard(
                ctx.require_caller().user_id,
                request.goods_id,
                request.item_card_id,
                request.num,
                request.request_id,
                ctx.origin.address,
            )
        )
        return blindbox_pb2.DrawWithItemCardResponse(result=_card_result(served))

    async def CalculateProbabilities(
        self, request: blindbox_pb2.CalculateProbabilitiesRequest, ctx: RequestContext
    ) -> blindbox_pb2.CalculateProbabilitiesResponse:
        """See BlindBoxService.CalculateProbabilities."""
        del ctx
        stock = await self._inventory.take_stock(request.goods_id, request.num)
        return blindbox_pb2.CalculateProbabilitiesResponse(probabilities=_odds(stock.odds))

    async def CheckInventory(
        self, request: blindbox_pb2.CheckInventoryRequest, ctx: RequestContext
    ) -> blindbox_pb2.CheckInventoryResponse:
        """See BlindBoxService.CheckInventory."""
        del ctx
        available, stock = await self._inventory.check(request.goods_id, request.num, request.count)
        return blindbox_pb2.CheckInventoryResponse(
            available=available,
            tickets_left=stock.tickets_left,
            items=_odds(odds for odds in stock.odds if odds.weight),
        )

    async def ValidateDraw(
        self, request: blindbox_pb2.ValidateDrawRequest, ctx: RequestContext
    ) -> blindbox_pb2.ValidateDrawResponse:
        """See BlindBoxService.ValidateDraw."""
        del ctx
        draw_id = parse_draw_id(request.draw_id)
        proof = await validate(self._shelf, self._prover, draw_id)
        return blindbox_pb2.ValidateDrawResponse(
            valid=proof.valid,
            reason=reason_of(proof),
            draw_id=str(draw_id),
            roll=proof.roll.hex(),
            seed_commitment=proof.commitment.hex(),
            seed=proof.seed.hex() if proof.seed else None,
            luck_no=proof.ticket + 1,
            odds_weight=proof.weight,
            odds_total=proof.total,
        )


def _drawn_item(one: DrawnItem) -> blindbox_pb2.DrawnItem:
    return blindbox_pb2.DrawnItem(**_item_fields(one))


def _card_result(served: Served) -> blindbox_pb2.CardResult:
    first, *last_prize = served.items
    return blindbox_pb2.CardResult(
        **_item_fields(first),
        order_id=served.order_id,
        proof=_proof(first),
        last_prize=_drawn_item(last_prize[0]) if last_prize else None,
    )


def _item_fields(one: DrawnItem) -> dict[str, Any]:
    return {
        "goods_item_id": one.item.goods_item_id,
        "title": one.item.title,
        "img_url": one.item.img_url,
        "shang_id": one.item.shang_id,
        "shang_title": one.item.shang_title,
        "shang_color": one.item.shang_color,
        "price": one.item.price,
        "sc_money": one.item.sc_money,
        "prize_code": one.prize_code,
        "luck_no": one.luck_no,
        "draw_time": one.drawn_ms // 1000,
    }


def _proof(one: DrawnItem) -> blindbox_pb2.DrawProof:
    return blindbox_pb2.DrawProof(
        draw_id=str(one.draw_id),
        odds=one.weight / one.total,
        odds_weight=one.weight,
        odds_total=one.total,
    )


def _odds(odds: Iterable[ItemOdds]) -> list[blindbox_pb2.ItemProbability]:
    return [
        blindbox_pb2.ItemProbability(
            goods_item_id=one.item.goods_item_id,
            title=one.item.title,
            surplus_stock=one.left,
            probability=one.percent,
            weight=one.weight,
        )
        for one in odds
    ]
