"""The domain's records as messages of kuji.blindbox.v1."""

from collections.abc import Iterable

from kuji.blindbox.v1 import records_pb2 as pb

from services.common.draw_id import DrawId
from services.common.orders import money
from services.common.timestamps import ms_of
from services.history.blindbox.cards import OwnedCard
from services.history.blindbox.goods import ListedBox, ListedGoods, ListedItem
from services.history.blindbox.orders import OrderPrize
from services.history.blindbox.records import RecordPage, WinningRecord


def goods_message(goods: Iterable[ListedGoods]) -> pb.ListGoodsResponse:
    """Goods on the shelf."""
    return pb.ListGoodsResponse(goods=[_goods(one) for one in goods])


def _goods(goods: ListedGoods) -> pb.Goods:
    return pb.Goods(
        goods_id=goods.goods_id,
        title=goods.title,
        type=goods.type,
        price=money(goods.price),
        image_url=goods.image_url,
        protection_seconds=goods.protection_seconds,
        shangs=[pb.Shang(**shang._asdict()) for shang in goods.shangs],
        items=[_item(item) for item in goods.items],
        boxes=[_box(box) for box in goods.boxes],
    )


def _item(item: ListedItem) -> pb.Item:
    return pb.Item(
        goods_item_id=item.goods_item_id,
        shang_id=item.shang_id,
        title=item.title,
        img_url=item.image_url,
        price=money(item.price),
        sc_money=money(item.sc_money),
        stock=item.stock,
        weight=item.weight,
        is_last_prize=item.is_last_prize,
    )


def _box(box: ListedBox) -> pb.Box:
    return pb.Box(
        num=box.num,
        total=box.total,
        left=box.left,
        sold_out=box.left == 0,
        pool_id=box.pool_id,
        seed_commitment=box.seed_commitment,
    )


def order_prize_message(prize: OrderPrize) -> pb.OrderPrize:
    """What an order gave, under the old clients' names."""
    return pb.OrderPrize(
        id=prize.id,
        order_id=prize.order_id,
        goodslist_title=prize.title,
        goodslist_imgurl=prize.image_url,
        goodslist_price=money(prize.price),
        goodslist_money=money(prize.sc_money),
        goodslist_type=prize.goodslist_type,
        status=prize.status,
        addtime=prize.drawn_ms // 1000,
        prize_code=prize.prize_code,
        luck_no=prize.luck_no,
    )


def records_page_message(page: RecordPage) -> pb.ListInfiniteRecordsResponse:
    """A page of winning records."""
    return pb.ListInfiniteRecordsResponse(
        data=[_record(row) for row in page.rows], last_page=page.last_page
    )


def daily_records_message(records: Iterable[WinningRecord]) -> pb.ListDailyRecordsResponse:
    """A day's winning records."""
    return pb.ListDailyRecordsResponse(records=[_record(row) for row in records])


def _record(record: WinningRecord) -> pb.WinningRecord:
    return pb.WinningRecord(
        id=record.id,
        nickname=record.nickname,
        shang_id=record.shang_id,
        shang_title=record.shang_title,
        shang_color=record.shang_color,
        goodslist_title=record.title,
        goodslist_imgurl=record.image_url,
        luck_no=record.luck_no,
        addtime=record.drawn_ms // 1000,
        num=record.num,
        draw_id=str(DrawId(record.pool_id, record.seq)),
    )


def item_cards_message(cards: Iterable[OwnedCard]) -> pb.ListItemCardsResponse:
    """A user's cards."""
    return pb.ListItemCardsResponse(
        item_cards=[
            pb.ItemCard(
                item_card_id=card.item_card_id,
                goods_id=card.goods_id,
                status=card.status,
                addtime=ms_of(card.created_at) // 1000,
            )
            for card in cards
        ]
    )
