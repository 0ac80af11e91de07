"""Goods on the shelf, and a user's item cards."""

from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from kuji.blindbox.v1 import records_pb2 as pb
from redis.asyncio import Redis

from services.history.assembly import HistoryParts
from services.history.blindbox.goods import ListedGoodsStore
from services.pool.rule.fairness import commitment
from tests.support.blindbox import ItemSpec, insert_card, insert_goods
from tests.support.box_sales import open_shop
from tests.support.draws import SEED
from tests.support.history import ANYONE, as_user, history_of

ICHIBAN = (
    ItemSpec(2, title="Mug", shang=1, price="12", sc_money="3.5"),
    ItemSpec(4, title="Bear"),
    ItemSpec(1, title="Throne", shang=2, is_last_prize=True),
)


async def listed(history: HistoryParts, kind: str = "") -> list[pb.Goods]:
    """The goods on the shelf."""
    return list((await history.blindbox.ListGoods(pb.ListGoodsRequest(type=kind), ANYONE)).goods)


async def test_goods_show_levels_items_and_boxes(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Everything that a shop window needs; the last prize has no ticket, so it is not counted."""
    shop = await open_shop(
        postgres,
        redis,
        *ICHIBAN,
        shangs=("A", "B", "Last"),
        price=Decimal("9.9"),
        image_url="https://img.example/box.png",
        protection_seconds=30,
    )
    boxes = [await shop.open_box() for _ in range(3)]
    await shop.buy(boxes[0], 1, 6)
    await shop.buy(boxes[1], 1, 2)
    for box in boxes:
        await shop.record(box)
    await postgres.execute("UPDATE shangs SET sort = 9 WHERE title = 'A'")
    async with history_of(postgres_dsn, redis_url) as history:
        (goods,) = await listed(history)
    shelf, color = shop.shelf, "#c00000"
    (a, b, last), (mug, bear, throne) = shelf.shang_ids, shelf.item_ids
    assert (
        pb.Goods(
            goods_id=shelf.goods_id,
            title="Spring box",
            type="ichiban",
            price="9.90",
            image_url="https://img.example/box.png",
            protection_seconds=30,
            shangs=[
                pb.Shang(shang_id=b, title="B", color=color, sort=1),
                pb.Shang(shang_id=last, title="Last", color=color, sort=2),
                pb.Shang(shang_id=a, title="A", color=color, sort=9),
            ],
            items=[
                pb.Item(
                    goods_item_id=mug,
                    shang_id=b,
                    title="Mug",
                    img_url="https://img.example/0.png",
                    price="12.00",
                    sc_money="3.50",
                    stock=2,
                ),
                pb.Item(
                    goods_item_id=throne,
                    shang_id=last,
                    title="Throne",
                    img_url="https://img.example/2.png",
                    price="9.90",
                    sc_money="2.00",
                    stock=1,
                    is_last_prize=True,
                ),
                pb.Item(
                    goods_item_id=bear,
                    shang_id=a,
                    title="Bear",
                    img_url="https://img.example/1.png",
                    price="9.90",
                    sc_money="2.00",
                    stock=4,
                ),
            ],
            boxes=[
                pb.Box(
                    num=box.num,
                    total=6,
                    left=left,
                    sold_out=not left,
                    pool_id=box.pool_id,
                    seed_commitment=commitment(SEED).hex(),
                )
                for box, left in zip(boxes, (0, 4, 6), strict=True)
            ],
        )
        == goods
    )


async def test_unlimited_stock_is_shown_as_absent(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Neither total nor left, and never sold out; a weight where there is one."""
    items = (ItemSpec(None, 7), ItemSpec(5, title="Fan"))
    shop = await open_shop(postgres, redis, *items, kind="infinite")
    box = await shop.open_box()
    await shop.buy(box, 1, 3)
    await shop.record(box)
    async with history_of(postgres_dsn, redis_url) as history:
        (goods,) = await listed(history, "infinite")
    (shown,) = goods.boxes
    assert (False, False, False) == (
        shown.HasField("total"),
        shown.HasField("left"),
        shown.sold_out,
    )
    assert [(None, 7), (5, None)] == [
        tuple(getattr(item, name) if item.HasField(name) else None for name in ("stock", "weight"))
        for item in goods.items
    ]


async def test_goods_are_listed_newest_first_while_on_the_shelf(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """Off the shelf or ended, they are gone; a type lists its own."""
    kinds = ("ichiban", "infinite", "ichiban", "infinite")
    ids = [(await insert_goods(postgres, ItemSpec(), kind=kind)).goods_id for kind in kinds]
    await insert_goods(postgres, on_shelf=False)
    await insert_goods(postgres, is_ended=True)
    async with history_of(postgres_dsn, redis_url) as history:

        async def ids_of(kind: str) -> list[int]:
            return [goods.goods_id for goods in await listed(history, kind)]

        assert ids[::-1] == await ids_of("")
        assert [ids[2], ids[0]] == await ids_of("ichiban")
        assert [ids[3], ids[1]] == await ids_of("infinite")


async def test_no_more_than_a_hundred_goods_are_listed(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """The newest hundred."""
    ids = [(await insert_goods(postgres)).goods_id for _ in range(101)]
    async with history_of(postgres_dsn, redis_url) as history:
        assert ids[:0:-1] == [goods.goods_id for goods in await listed(history)]


async def test_goods_are_read_once_for_all_who_ask_within_a_moment(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list may be as old as page_age_s, and no older."""
    reads, read = 0, ListedGoodsStore.on_shelf

    async def counted(store: ListedGoodsStore, kind: str) -> Any:
        nonlocal reads
        reads += 1
        return await read(store, kind)

    monkeypatch.setattr(ListedGoodsStore, "on_shelf", counted)
    async with history_of(postgres_dsn, redis_url, page_age_s=3600) as history:
        assert [] == await listed(history)
        await insert_goods(postgres)
        assert [] == await listed(history)
    assert 1 == reads
    async with history_of(postgres_dsn, redis_url, page_age_s=0) as history:
        assert 1 == len(await listed(history))
        await insert_goods(postgres)
        assert 2 == len(await listed(history))


async def test_cards_are_listed_with_what_became_of_them(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """The caller's own, newest first; a released card may be used again."""
    shop = await open_shop(postgres, redis, *ICHIBAN, shangs=("A", "B", "Last"))
    box = await shop.open_box()
    cards = [await insert_card(postgres, 7, goods_id) for goods_id in (None, shop.shelf.goods_id)]
    for status in ("released", "reserved"):
        card = await insert_card(postgres, 7)
        await shop.shelf.order(
            box, f"card:{card}", 7, order_type=3, item_card_id=card, status=status
        )
        cards.append(card)
    await shop.buy_by_card(box, 7)
    await insert_card(postgres, 8)
    async with history_of(postgres_dsn, redis_url) as history:
        found = await history.blindbox.ListItemCards(pb.ListItemCardsRequest(), as_user(7))
    shown = [
        (card.item_card_id, card.status, card.HasField("goods_id")) for card in found.item_cards
    ]
    used = cards[-1] + 1
    assert [
        (used, "used", False),
        (cards[3], "reserved", False),
        (cards[2], "unused", False),
        (cards[1], "unused", True),
        (cards[0], "unused", False),
    ] == shown
    issued = await postgres.fetchval(
        "SELECT floor(extract(epoch FROM created_at))::bigint FROM item_cards WHERE id = $1", used
    )
    assert (shop.shelf.goods_id, issued) == (
        found.item_cards[3].goods_id,
        found.item_cards[0].addtime,
    )


async def test_no_more_than_a_thousand_cards_are_listed(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """The newest thousand."""
    await postgres.execute(
        "INSERT INTO item_cards (user_id, created_by) SELECT 7, 1 FROM generate_series(1, 1001)"
    )
    async with history_of(postgres_dsn, redis_url) as history:
        found = await history.blindbox.ListItemCards(pb.ListItemCardsRequest(), as_user(7))
    ids = [card.item_card_id for card in found.item_cards]
    assert (1000, sorted(ids, reverse=True)) == (len(ids), ids)
