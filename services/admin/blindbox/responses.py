"""Domain values as messages."""

from kuji.admin.v1 import goods_pb2

from services.admin.blindbox.models import Goods, Item, ItemCard, Shang
from services.common.orders import money
from services.common.timestamps import timestamp_of


def goods(value: Goods) -> goods_pb2.Goods:
    """Goods, as their operator sees them."""
    terms = value.terms
    return goods_pb2.Goods(
        goods_id=value.goods_id,
        title=terms.title,
        type=value.type,
        price=money(terms.price),
        image_url=terms.image_url,
        on_shelf=terms.on_shelf,
        protection_seconds=terms.protection_seconds,
        is_ended=terms.is_ended,
        confirm=terms.confirm,
        boxes=value.boxes,
        created_at=timestamp_of(value.created_at),
        updated_at=timestamp_of(value.updated_at),
        etag=value.etag,
    )


def shang(value: Shang) -> goods_pb2.Shang:
    """A level."""
    terms = value.terms
    return goods_pb2.Shang(
        shang_id=value.shang_id,
        goods_id=value.goods_id,
        title=terms.title,
        color=terms.color,
        sort=terms.sort,
    )


def item(value: Item) -> goods_pb2.GoodsItem:
    """An item; unlimited stock and a weight by stock are left out."""
    terms = value.terms
    return goods_pb2.GoodsItem(
        goods_item_id=value.goods_item_id,
        goods_id=value.goods_id,
        shang_id=terms.shang_id,
        title=terms.title,
        img_url=terms.img_url,
        price=money(terms.price),
        sc_money=money(terms.sc_money),
        stock=terms.stock,
        weight=terms.weight,
        is_last_prize=terms.is_last_prize,
        etag=value.etag,
    )


def item_card(value: ItemCard) -> goods_pb2.ItemCard:
    """A card, and what became of it."""
    return goods_pb2.ItemCard(
        item_card_id=value.item_card_id,
        user_id=value.user_id,
        goods_id=value.goods_id,
        status=value.status,
        created_at=timestamp_of(value.created_at),
    )
