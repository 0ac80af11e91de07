"""What orders of blind boxes gave, read from Postgres and from the ledger."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kuji.blindbox.v1 import records_pb2 as pb
from redis.asyncio import Redis

from services.common.context import RequestContext
from services.common.errors import UnauthenticatedError, UnavailableError
from services.common.orders import GoodslistType
from services.history.assembly import HistoryParts
from services.history.blindbox.orders import OrderReader
from services.pool.store.keys import ledger_key
from tests.support.blindbox import ItemSpec
from tests.support.box_sales import Bought, Item, Shop, open_shop
from tests.support.history import ANYONE, AS_ADMIN, AS_SERVICE, as_user, history_of, mark_answered

ICHIBAN = (
    ItemSpec(stock=25, title="Mug", price="9.90", sc_money="2.05"),
    ItemSpec(stock=15, title="Bear", shang=1, price="120", sc_money="60.5"),
    ItemSpec(stock=1, title="Throne", shang=2, is_last_prize=True, price="999.99"),
)
INFINITE = (ItemSpec(None, 70, "Pin"), ItemSpec(500, 30, "Fan", shang=1))
LEVELS = ("A", "B", "Last")
PRICES = {"9.90": "9.90", "120": "120.00", "999.99": "999.99"}
MONEY = {"2.05": "2.05", "60.5": "60.50", "2.00": "2.00"}

Prizes = list[pb.OrderPrize]


async def listed(
    history: HistoryParts, kind: str, order_num: str, ctx: RequestContext, user_id: int = 0
) -> Prizes:
    """What the order gave, by the call for goods of this type."""
    if kind == "ichiban":
        request = pb.ListOrderPrizesRequest(order_num=order_num, user_id=user_id)
        return list((await history.blindbox.ListOrderPrizes(request, ctx)).prizes)
    infinite = pb.ListInfiniteOrderPrizesRequest(order_num=order_num, user_id=user_id)
    return list((await history.blindbox.ListInfiniteOrderPrizes(infinite, ctx)).prizes)


def expected(shop: Shop, items: Sequence[Item]) -> Prizes:
    """The list that an order with these items must give."""
    return [_expected(shop.shelf.items[item.place], item) for item in items]


def _expected(spec: ItemSpec, item: Item) -> pb.OrderPrize:
    kind = GoodslistType.LAST_PRIZE if item.is_last_prize else GoodslistType.ORDINARY
    return pb.OrderPrize(
        id=item.id,
        order_id=item.order_id,
        goodslist_title=spec.title,
        goodslist_imgurl=f"https://img.example/{item.place}.png",
        goodslist_price=PRICES[spec.price],
        goodslist_money=MONEY[spec.sc_money],
        goodslist_type=kind,
        status=1,
        addtime=item.drawn_ms // 1000,
        prize_code=item.prize_code,
        luck_no=item.luck_no,
    )


async def open_goods(postgres: asyncpg.Pool, redis: Redis, kind: str = "ichiban") -> Shop:
    """Goods of this type, without boxes."""
    items = ICHIBAN if kind == "ichiban" else INFINITE
    return await open_shop(postgres, redis, *items, kind=kind, shangs=LEVELS)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example has its own goods
)
@given(
    kind=st.sampled_from(["ichiban", "infinite"]),
    orders=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 6), st.booleans(), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    split=st.integers(0, 7),
)
async def test_order_lists_exactly_its_prizes(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    kind: str,
    orders: list[tuple[int, int, bool, bool]],
    split: int,
) -> None:
    """
    P1: an order's list holds exactly the prizes of that order, every field filled.

    By card or not, recorded or in the ledger alone, marked as drawn or not.
    """
    shop = await open_goods(postgres, redis, kind)
    box = await shop.open_box()
    bought = [
        await (shop.buy_by_card(box, user) if card else shop.buy(box, user, count, mark=mark))
        for user, count, card, mark in orders
    ]
    await shop.record(box, split)
    async with history_of(postgres_dsn, redis_url) as history:
        for one in bought:
            prizes = await listed(history, kind, one.order_num, as_user(one.user_id))
            assert expected(shop, one.items) == prizes
            for prize in prizes:
                assert set(prize.DESCRIPTOR.fields_by_name) == {
                    f.name for f, _ in prize.ListFields()
                }


async def test_last_prize_is_listed_with_the_order_of_the_last_ticket(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """T tickets give T + 1 items; the last one is of type 2, with the same id once recorded."""
    shop = await open_goods(postgres, redis)
    box = await shop.open_box()
    bought = await shop.buy(box, 7, 40)
    async with history_of(postgres_dsn, redis_url) as history:
        before = await listed(history, "ichiban", bought.order_num, as_user(7))
        await shop.record(box)
        after = await listed(history, "ichiban", bought.order_num, as_user(7))
    assert expected(shop, bought.items) == before == after
    kinds = [prize.goodslist_type for prize in after]
    assert [1] * 40 + [2] == kinds
    assert ("Throne", 1) == (after[-1].goodslist_title, after[-1].luck_no)


@pytest.mark.parametrize("recorded", [True, False], ids=["postgres", "ledger"])
async def test_order_is_seen_by_those_who_may_see_it(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str, recorded: bool
) -> None:
    """Its buyer, a service and an administrator; to others it does not exist."""
    shop = await open_goods(postgres, redis)
    box = await shop.open_box()
    bought = await shop.buy(box, 7)
    if recorded:
        await shop.record(box)
    prizes, number = expected(shop, bought.items), bought.order_num
    async with history_of(postgres_dsn, redis_url) as history:
        assert prizes == await listed(history, "ichiban", number, as_user(7))
        assert prizes == await listed(history, "ichiban", number, as_user(7), user_id=7)
        assert prizes == await listed(history, "ichiban", number, AS_SERVICE, user_id=7)
        assert prizes == await listed(history, "ichiban", number, AS_ADMIN, user_id=7)
        assert prizes == await listed(history, "ichiban", number, AS_ADMIN)
        assert prizes == await listed(history, "ichiban", number, AS_SERVICE)
        assert [] == await listed(history, "ichiban", number, AS_ADMIN, user_id=8)
        assert [] == await listed(history, "ichiban", number, as_user(8))
        assert [] == await listed(history, "ichiban", number, as_user(8), user_id=7)
        assert [] == await listed(history, "ichiban", number, as_user(7), user_id=8)
        assert [] == await listed(history, "infinite", number, as_user(7))
        assert [] == await listed(history, "ichiban", "another", as_user(7))


async def test_order_that_has_not_drawn_lists_nothing(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Reserved, or released after a refusal: an empty list, though others drew."""
    shop = await open_goods(postgres, redis)
    box = await shop.open_box()
    await shop.buy(box, 7, mark=False)
    await shop.shelf.order(box, "waiting", 7)
    await shop.shelf.order(box, "refused", 7, status="released")
    async with history_of(postgres_dsn, redis_url) as history:
        assert [] == await listed(history, "ichiban", "waiting", as_user(7))
        assert [] == await listed(history, "ichiban", "refused", as_user(7))


async def test_listing_an_order_needs_a_caller(postgres_dsn: str, redis_url: str) -> None:
    """Nobody's order is nobody's."""
    async with history_of(postgres_dsn, redis_url) as history:
        with pytest.raises(UnauthenticatedError):
            await listed(history, "ichiban", "x", ANYONE)


@pytest.mark.parametrize("mark", [True, False], ids=["drawn", "reserved"])
async def test_order_is_found_when_it_is_recorded_and_trimmed_between_the_looks(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    mark: bool,
) -> None:
    """However the recorder overtakes a reader, what was answered is found."""
    shop = await open_goods(postgres, redis)
    box = await shop.open_box()
    bought = await shop.buy(box, 7, 3, mark=mark)
    look = OrderReader._unrecorded

    async def overtaken(reader: OrderReader, order: Any) -> Any:
        await shop.record(box)
        await redis.delete(ledger_key(box.pool_id))
        return await look(reader, order)

    monkeypatch.setattr(OrderReader, "_unrecorded", overtaken)
    async with history_of(postgres_dsn, redis_url) as history:
        prizes = await listed(history, "ichiban", bought.order_num, as_user(7))
    assert expected(shop, bought.items) == prizes


async def test_drawn_order_is_unavailable_while_the_store_is_an_older_copy_without_it(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A1: never an empty list for what was answered; recorded, it is found."""
    shop = await open_goods(postgres, redis)
    box = await shop.open_box()
    bought = await shop.buy(box, 7, 3)
    await mark_answered(postgres, box.pool_id, 3)
    newest: Any = await redis.dump(ledger_key(box.pool_id))
    await redis.delete(ledger_key(box.pool_id))
    async with history_of(postgres_dsn, redis_url) as history:
        with pytest.raises(UnavailableError):
            await listed(history, "ichiban", bought.order_num, as_user(7))
        await redis.restore(ledger_key(box.pool_id), 0, newest)
        prizes = await listed(history, "ichiban", bought.order_num, as_user(7))
    assert expected(shop, bought.items) == prizes


async def test_recorded_order_is_read_without_redis(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str
) -> None:
    """What is in Postgres does not need the ledger."""
    shop = await open_goods(postgres, redis)
    box = await shop.open_box()
    bought: Bought = await shop.buy(box, 7)
    await shop.record(box)
    async with history_of(postgres_dsn, "redis://127.0.0.1:1/0") as history:
        prizes = await listed(history, "ichiban", bought.order_num, as_user(7))
    assert expected(shop, bought.items) == prizes
