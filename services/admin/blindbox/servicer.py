"""kuji.admin.v1.GoodsService: messages to domain calls and back."""

from kuji.admin.v1 import goods_pb2

from services.admin.approvals.second_person import SecondPerson, held_back
from services.admin.blindbox import requests, responses
from services.admin.blindbox.boxes import Boxes
from services.admin.blindbox.cards import Cards
from services.admin.blindbox.goods import AllGoods
from services.admin.blindbox.items import Items
from services.admin.blindbox.shangs import Shangs
from services.admin.conflicts import asked_etag, told_apart
from services.common.context import RequestContext
from services.common.paging import cut, page_of


class GoodsServicer:
    """What an operator does with blind boxes; see goods.proto for effects and errors."""

    def __init__(
        self,
        all_goods: AllGoods,
        shangs: Shangs,
        items: Items,
        boxes: Boxes,
        cards: Cards,
        second_person: SecondPerson,
    ) -> None:
        self.second_person = second_person
        self._all_goods = all_goods
        self._shangs = shangs
        self._items = items
        self._boxes = boxes
        self._cards = cards

    async def CreateGoods(
        self, request: goods_pb2.CreateGoodsRequest, ctx: RequestContext
    ) -> goods_pb2.CreateGoodsResponse:
        """New goods, without boxes."""
        kind, terms = requests.goods_type(request), requests.goods_terms(request)
        goods = await self._all_goods.create(ctx, kind, terms)
        return goods_pb2.CreateGoodsResponse(goods=responses.goods(goods))

    async def ListGoods(
        self, request: goods_pb2.ListGoodsRequest, _ctx: RequestContext
    ) -> goods_pb2.ListGoodsResponse:
        """One page of goods, newest first."""
        page = page_of(request)
        all_goods, marks = cut(page, await self._all_goods.list(page))
        return goods_pb2.ListGoodsResponse(
            goods=[responses.goods(goods) for goods in all_goods], **marks
        )

    @held_back
    async def UpdateGoods(
        self, request: goods_pb2.UpdateGoodsRequest, ctx: RequestContext
    ) -> goods_pb2.UpdateGoodsResponse:
        """A partial change."""
        change = requests.goods_change(request)
        with told_apart(request, ctx, responses.goods):
            goods = await self._all_goods.update(
                ctx, request.goods_id, change, asked_etag(request, ctx)
            )
        return goods_pb2.UpdateGoodsResponse(goods=responses.goods(goods))

    async def CreateShang(
        self, request: goods_pb2.CreateShangRequest, ctx: RequestContext
    ) -> goods_pb2.CreateShangResponse:
        """A new level."""
        shang = await self._shangs.create(ctx, request.goods_id, requests.shang_terms(request))
        return goods_pb2.CreateShangResponse(shang=responses.shang(shang))

    async def ListShangs(
        self, request: goods_pb2.ListShangsRequest, _ctx: RequestContext
    ) -> goods_pb2.ListShangsResponse:
        """The levels of goods, by sort."""
        shangs = await self._shangs.list(request.goods_id)
        return goods_pb2.ListShangsResponse(shangs=[responses.shang(shang) for shang in shangs])

    async def CreateGoodsItem(
        self, request: goods_pb2.CreateGoodsItemRequest, ctx: RequestContext
    ) -> goods_pb2.CreateGoodsItemResponse:
        """A new item, before the first box."""
        item = await self._items.create(ctx, request.goods_id, requests.item_terms(request))
        return goods_pb2.CreateGoodsItemResponse(item=responses.item(item))

    async def ListGoodsItems(
        self, request: goods_pb2.ListGoodsItemsRequest, _ctx: RequestContext
    ) -> goods_pb2.ListGoodsItemsResponse:
        """The items of goods, in the order of creation."""
        items = await self._items.list(request.goods_id)
        return goods_pb2.ListGoodsItemsResponse(items=[responses.item(item) for item in items])

    async def UpdateGoodsItem(
        self, request: goods_pb2.UpdateGoodsItemRequest, ctx: RequestContext
    ) -> goods_pb2.UpdateGoodsItemResponse:
        """A partial change, before the first box."""
        change = requests.item_change(request)
        with told_apart(request, ctx, responses.item):
            item = await self._items.update(
                ctx, request.goods_id, request.goods_item_id, change, asked_etag(request, ctx)
            )
        return goods_pb2.UpdateGoodsItemResponse(item=responses.item(item))

    @held_back
    async def OpenBoxes(
        self, request: goods_pb2.OpenBoxesRequest, ctx: RequestContext
    ) -> goods_pb2.OpenBoxesResponse:
        """Further boxes, which draw at once."""
        count, etag = requests.box_count(request), asked_etag(request, ctx)
        with told_apart(request, ctx, responses.goods):
            nums = await self._boxes.open(ctx, request.goods_id, count, etag)
        return goods_pb2.OpenBoxesResponse(nums=nums)

    @held_back
    async def IssueItemCards(
        self, request: goods_pb2.IssueItemCardsRequest, ctx: RequestContext
    ) -> goods_pb2.IssueItemCardsResponse:
        """Cards for a user."""
        card_ids = await self._cards.issue(ctx, requests.cards_draft(request))
        return goods_pb2.IssueItemCardsResponse(item_card_ids=card_ids)

    async def ListItemCards(
        self, request: goods_pb2.ListItemCardsRequest, _ctx: RequestContext
    ) -> goods_pb2.ListItemCardsResponse:
        """One page of item cards, newest first."""
        page = page_of(request)
        cards, marks = cut(page, await self._cards.list(request.user_id, page))
        return goods_pb2.ListItemCardsResponse(
            item_cards=[responses.item_card(card) for card in cards], **marks
        )
