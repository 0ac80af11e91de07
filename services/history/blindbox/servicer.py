"""kuji.blindbox.v1.BlindBoxRecordService: from messages to the domain and back."""

from kuji.blindbox.v1 import records_pb2 as pb

from services.common.context import RequestContext, Role
from services.common.paging import page_of
from services.history.blindbox.cards import CardStore
from services.history.blindbox.messages import item_cards_message, order_prize_message
from services.history.blindbox.orders import OrderPrize, OrderReader
from services.history.blindbox.public_records import PublicRecords
from services.history.blindbox.records import RecordsQuery

_OrderRequest = pb.ListOrderPrizesRequest | pb.ListInfiniteOrderPrizesRequest
_ACTS_FOR_OTHERS = (Role.SERVICE, Role.ADMIN)


def _buyer_of(request: _OrderRequest, ctx: RequestContext) -> int | None:
    """Whose order is asked for, 0: whoever's; None: one that the caller may not see."""
    caller = ctx.require_caller()
    if caller.role in _ACTS_FOR_OTHERS:
        return request.user_id
    return caller.user_id if request.user_id in (0, caller.user_id) else None


class BlindBoxRecordServicer:
    """See kuji/blindbox/v1/records.proto."""

    def __init__(self, records: PublicRecords, orders: OrderReader, cards: CardStore) -> None:
        self._records = records
        self._orders = orders
        self._cards = cards

    async def ListGoods(
        self, request: pb.ListGoodsRequest, _: RequestContext
    ) -> pb.ListGoodsResponse:
        """See the proto."""
        return await self._records.goods(request.type)

    async def ListOrderPrizes(
        self, request: pb.ListOrderPrizesRequest, ctx: RequestContext
    ) -> pb.ListOrderPrizesResponse:
        """See the proto."""
        prizes = await self._prizes(request, ctx, "ichiban")
        return pb.ListOrderPrizesResponse(prizes=map(order_prize_message, prizes))

    async def ListInfiniteOrderPrizes(
        self, request: pb.ListInfiniteOrderPrizesRequest, ctx: RequestContext
    ) -> pb.ListInfiniteOrderPrizesResponse:
        """See the proto."""
        prizes = await self._prizes(request, ctx, "infinite")
        return pb.ListInfiniteOrderPrizesResponse(prizes=map(order_prize_message, prizes))

    async def ListInfiniteRecords(
        self, request: pb.ListInfiniteRecordsRequest, _: RequestContext
    ) -> pb.ListInfiniteRecordsResponse:
        """See the proto."""
        query = RecordsQuery(request.goods_id, request.shang_id, page_of(request))
        return await self._records.page(query)

    async def ListDailyRecords(
        self, request: pb.ListDailyRecordsRequest, _: RequestContext
    ) -> pb.ListDailyRecordsResponse:
        """See the proto."""
        return await self._records.today(request.goods_id)

    async def ListItemCards(
        self, _: pb.ListItemCardsRequest, ctx: RequestContext
    ) -> pb.ListItemCardsResponse:
        """See the proto."""
        return item_cards_message(await self._cards.of_user(ctx.require_caller().user_id))

    async def _prizes(
        self, request: _OrderRequest, ctx: RequestContext, goods_type: str
    ) -> list[OrderPrize]:
        buyer_id = _buyer_of(request, ctx)
        if buyer_id is None:
            return []
        return await self._orders.prizes(buyer_id, request.order_num, goods_type)
