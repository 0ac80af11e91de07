"""Requests as domain values; what their protos do not say of a field is checked on the way."""

from kuji.admin.v1 import goods_pb2

from services.admin import validation as valid
from services.admin.blindbox.cards import CardsDraft
from services.admin.blindbox.goods import GoodsChange
from services.admin.blindbox.items import ItemChange
from services.admin.blindbox.models import GoodsTerms, GoodsType, ItemTerms, ShangTerms
from services.admin.changes import CLEARED, asked, asked_or_cleared
from services.admin.lottery.requests import given
from services.admin.models import ConfirmMode

_BLACK = "#000000"


def goods_type(request: goods_pb2.CreateGoodsRequest) -> GoodsType:
    """The type of new goods."""
    return GoodsType(request.type)


def goods_terms(request: goods_pb2.CreateGoodsRequest) -> GoodsTerms:
    """New goods as asked for; InvalidArgumentError names the field at fault."""
    return GoodsTerms(
        title=valid.name("title", request.title),
        price=valid.money("price", request.price or valid.NO_MONEY),
        image_url=request.image_url,
        on_shelf=request.on_shelf if request.HasField("on_shelf") else True,
        protection_seconds=request.protection_seconds,
        is_ended=False,
        confirm=ConfirmMode(request.confirm or ConfirmMode.STORE),
    )


def goods_change(request: goods_pb2.UpdateGoodsRequest) -> GoodsChange:
    """A change as asked for; InvalidArgumentError names the field at fault."""
    return GoodsChange(
        title=asked(request, "title", valid.name),
        price=asked(request, "price", valid.money),
        image_url=asked_or_cleared(request, "image_url", valid.as_given, ""),
        on_shelf=request.on_shelf if request.HasField("on_shelf") else None,
        protection_seconds=asked_or_cleared(request, "protection_seconds", valid.as_given, 0),
        is_ended=request.is_ended if request.HasField("is_ended") else None,
        confirm=given(request, "confirm", valid.confirm),
    )


def shang_terms(request: goods_pb2.CreateShangRequest) -> ShangTerms:
    """A new level as asked for; InvalidArgumentError names the field at fault."""
    return ShangTerms(
        title=valid.name("title", request.title),
        color=request.color or _BLACK,
        sort=request.sort,
    )


def item_terms(request: goods_pb2.CreateGoodsItemRequest) -> ItemTerms:
    """A new item as asked for; InvalidArgumentError names the field at fault."""
    terms = ItemTerms(
        title=valid.name("title", request.title),
        img_url=request.img_url,
        shang_id=request.shang_id,
        price=valid.money("price", request.price or valid.NO_MONEY),
        sc_money=valid.money("sc_money", request.sc_money or valid.NO_MONEY),
        stock=given(request, "stock", valid.as_given),
        weight=given(request, "weight", valid.as_given),
        is_last_prize=False,
    )
    return ItemChange(is_last_prize=request.is_last_prize, stock=terms.stock).applied_to(terms)


def item_change(request: goods_pb2.UpdateGoodsItemRequest) -> ItemChange:
    """A change as asked for; InvalidArgumentError names the field at fault."""
    return ItemChange(
        title=asked(request, "title", valid.name),
        img_url=asked_or_cleared(request, "img_url", valid.as_given, ""),
        shang_id=asked(request, "shang_id", valid.as_given),
        price=asked(request, "price", valid.money),
        sc_money=asked(request, "sc_money", valid.money),
        stock=asked_or_cleared(request, "stock", valid.as_given, CLEARED),
        weight=asked_or_cleared(request, "weight", valid.as_given, CLEARED),
        is_last_prize=request.is_last_prize if request.HasField("is_last_prize") else None,
    )


def box_count(request: goods_pb2.OpenBoxesRequest) -> int:
    """How many boxes to open."""
    return request.count or 1


def cards_draft(request: goods_pb2.IssueItemCardsRequest) -> CardsDraft:
    """Cards as asked for; InvalidArgumentError names the field at fault."""
    return CardsDraft(
        user_id=request.user_id,
        goods_id=request.goods_id or None,
        count=request.count or 1,
    )
