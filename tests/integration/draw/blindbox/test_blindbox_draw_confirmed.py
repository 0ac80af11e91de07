"""Confirmed wins of boxes: nobody is told what an order or a card drew before it is recorded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.blindbox.v1 import blindbox_pb2, records_pb2
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.status import error_info_of
from services.pool.store.keys import CONFIRM_CHANNEL
from tests.support.blindbox import Box, ItemSpec, card_status, insert_card
from tests.support.blindbox_draw import Mall, drew, open_mall, told
from tests.support.history import ANYONE, AS_SERVICE, eventually, history_of, recording

RECORDED = pool_pb2.CONFIRM_RECORDED
OWNER = 7
_COME_AGAIN = ("OVERLOADED", "UNAVAILABLE")
_BOUND = {"default_timeout_s": 0.4}  # of calls whose caller gives none: timeout=None


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """A draw service; nobody records, and nothing is swept."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url, **_BOUND) as mall:
        yield mall


def order_of(box: Box, order_num: str, count: int = 2) -> blindbox_pb2.PlaceOrderRequest:
    return blindbox_pb2.PlaceOrderRequest(
        order_num=order_num, user_id=OWNER, goods_id=box.goods_id, num=box.num, count=count
    )


async def record_box(mall: Mall, box: Box) -> None:
    """Record, and say so, as the recorder does."""
    await mall.record(box)
    seq = await mall.postgres.fetchval("SELECT recorded_seq FROM pools WHERE id = $1", box.pool_id)
    await mall.redis.publish(CONFIRM_CHANNEL, f"{box.pool_id} {seq}")


async def test_orders_and_cards_are_answered_with_what_is_recorded(
    mall: Mall, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """X1a: each item told is in the records at that moment, the last prize included."""
    last = ItemSpec(stock=1, is_last_prize=True)
    box = await mall.box(ItemSpec(stock=21), last, confirm=RECORDED)
    card = await insert_card(postgres, OWNER, box.goods_id)

    async def recorded() -> set[str]:
        rows = await postgres.fetch("SELECT prize_code FROM order_items")
        return {row["prize_code"] for row in rows}

    async def buy(order_num: str) -> list[str]:
        placed = await mall.shop().order(box, order_num, count=2)
        codes = [item.prize_code for item in placed.results]
        assert not set(codes) - await recorded()
        assert "drawn" == await mall.status(order_num)
        return codes

    async with recording(postgres_dsn, redis_url):
        bought = await asyncio.gather(*[buy(f"o-{n}") for n in range(10)])
        used = await mall.user(OWNER).use_card(box.goods_id, card)
        assert {used.prize_code, used.last_prize.prize_code} <= await recorded()
    assert 22 == len({code for codes in bought for code in codes} | {used.prize_code}) + 1


@pytest.mark.parametrize("kind", ["ichiban", "infinite"])
async def test_what_is_not_recorded_is_told_by_nobody(
    mall: Mall, postgres_dsn: str, redis_url: str, kind: str
) -> None:
    """Order, repeated order, card, validation, order list, records of all and of today."""
    box = await mall.box(ItemSpec(stock=50), kind=kind, confirm=RECORDED)
    card = await insert_card(mall.postgres, OWNER, box.goods_id)
    shop, owner = mall.shop(), mall.user(OWNER)
    use = blindbox_pb2.DrawWithItemCardRequest(
        goods_id=box.goods_id, item_card_id=card, num=1, request_id="mine"
    )
    calls: list[Any] = [
        shop(order_of(box, "a"), timeout=None),
        shop(order_of(box, "a"), timeout=None),
        owner(use, timeout=None),
        shop.validate(f"{box.pool_id}-1"),
    ]
    assert ["UNAVAILABLE"] * 4 == [await told(call) for call in calls]
    assert ("reserved", "reserved") == (await mall.status("a"), await mall.status(f"card:{card}"))
    async with history_of(postgres_dsn, redis_url) as history:

        async def shown() -> list[int]:
            """How many items each list shows."""
            service, of_goods = history.blindbox, {"goods_id": box.goods_id}
            ichiban = records_pb2.ListOrderPrizesRequest(order_num="a")
            infinite = records_pb2.ListInfiniteOrderPrizesRequest(order_num="a")
            all_records = records_pb2.ListInfiniteRecordsRequest(**of_goods)
            daily = records_pb2.ListDailyRecordsRequest(**of_goods)
            return [
                len((await service.ListOrderPrizes(ichiban, AS_SERVICE)).prizes)
                + len((await service.ListInfiniteOrderPrizes(infinite, AS_SERVICE)).prizes),
                len((await service.ListInfiniteRecords(all_records, ANYONE)).data)
                if kind == "infinite"
                else 3,
                len((await service.ListDailyRecords(daily, ANYONE)).records),
            ]

        assert [0, 0 if kind == "infinite" else 3, 0] == await shown()
        await record_box(mall, box)
        placed = await shop(order_of(box, "a"))
        assert [f"{box.pool_id}-1", f"{box.pool_id}-2"] == drew(placed)
        assert f"{box.pool_id}-3" == (await owner(use)).result.proof.draw_id
        assert "used" == await card_status(mall.postgres, card)
    async with history_of(postgres_dsn, redis_url) as history:
        assert [2, 3, 3] == await shown()


async def test_box_whose_recorder_is_away_refuses_before_it_draws(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """All its draws win: past the patience a fresh order is refused and released, none waits."""
    settings = {"confirm_patience_s": 0.05, **_BOUND}
    async with open_mall(redis, postgres, postgres_dsn, redis_url, **settings) as mall:
        box = await mall.box(ItemSpec(stock=50), confirm=RECORDED)
        other = await mall.box(ItemSpec(stock=50))
        shop = mall.shop()
        assert "UNAVAILABLE" == await told(shop(order_of(box, "a"), timeout=None))
        assert "OVERLOADED" == await told(shop(order_of(box, "b"), timeout=300))
        assert ("reserved", "released") == (await mall.status("a"), await mall.status("b"))
        assert 2 == len(await mall.ledger(box))
        assert 1 == len((await shop.order(other, "c")).results)
        assert "UNAVAILABLE" == await told(shop(order_of(box, "a"), timeout=300))
        await record_box(mall, box)
        assert 2 == len(drew(await shop(order_of(box, "a"))))
        await mall.record(other)

        async def order_until_taken() -> Any:
            while True:  # as a shop does that is told to come again
                try:
                    return await shop(order_of(box, "b"))
                except grpc.aio.AioRpcError as error:
                    info = error_info_of(error)
                    if info is None or info.reason not in _COME_AGAIN:
                        raise

        waiting = asyncio.ensure_future(order_until_taken())

        async def has_drawn() -> bool:
            return len(await mall.ledger(box)) == 4

        await eventually(has_drawn)
        await record_box(mall, box)
        assert 2 == len(drew(await waiting))


async def test_sweeper_tells_nothing_and_loses_nothing(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """An order left reserved stays so until the recorder notes what it drew."""
    settings = {"sweep_every_s": 0.05, "sweep_after_s": 0.0, **_BOUND}
    async with open_mall(redis, postgres, postgres_dsn, redis_url, **settings) as mall:
        box = await mall.box(ItemSpec(stock=50), confirm=RECORDED)
        assert "UNAVAILABLE" == await told(mall.shop()(order_of(box, "a"), timeout=None))
        assert "reserved" == await mall.status("a")
        await record_box(mall, box)
        assert "drawn" == await mall.status("a")
        assert 2 == len(await mall.ledger(box))
