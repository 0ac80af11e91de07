"""The administration of blind boxes with the real draw service, Redis and recorder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import CreateBlockRequest
from kuji.admin.v1.goods_pb2 import UpdateGoodsRequest
from kuji.blindbox.v1.blindbox_pb2 import PlaceOrderRequest
from kuji.draw.v1.pool_pb2 import POOL_STATUS_PAUSED, InspectPoolsRequest, PublishPoolRequest
from redis.asyncio import Redis

from services.admin.blindbox.pool_config import box_pool_config
from services.admin.blindbox.store import GoodsStore
from services.admin.finisher import Finisher
from tests.support.admin import Caller, Operator, admin_process
from tests.support.blindbox_draw import Mall, open_mall, told
from tests.support.history import eventually, recording


@dataclass
class House(Operator):
    """
    An operator's house: administration and two replicas of the draw service.

    Args:
        mall: Where the boxes are sold.
        finisher: The background task of the administration, which a test runs itself.
    """

    mall: Mall
    finisher: Finisher

    async def buy(
        self, goods_id: int, order_num: str, replica: int, user_id: int = 7, **of: int
    ) -> str:
        """Why this order of box 1 was refused; "" when it was drawn."""
        request = PlaceOrderRequest(
            **{"goods_id": goods_id, "num": 1, "user_id": user_id, "count": 1, **of},
            order_num=order_num,
        )
        return await told(self.mall.shop(replica)(request))

    async def buy_everywhere(self, goods_id: int, name: str) -> list[str]:
        """What an order of this name at each replica was told."""
        return [await self.buy(goods_id, f"{name}-{replica}", replica) for replica in (0, 1)]

    async def change(self, goods_id: int, **fields: Any) -> None:
        """Change these goods."""
        await self.admin(UpdateGoodsRequest(goods_id=goods_id, **fields))


@asynccontextmanager
async def open_house(
    redis: Redis, postgres: asyncpg.Pool, dsn: str, redis_url: str, **draw_settings: Any
) -> AsyncIterator[House]:
    async with (
        open_mall(redis, postgres, dsn, redis_url, redis_url, **draw_settings) as mall,
        admin_process(
            postgres_dsn=dsn,
            auth_address=mall.world.auth_address,
            draw_address=mall.world.addresses[0],
        ) as (channel, finisher),
    ):
        yield House(Caller(channel, mall.world.auth.token(1, "boss", "admin")), mall, finisher)


@pytest.fixture
async def house(
    redis: Redis, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> AsyncIterator[House]:
    """Administration and two replicas of the draw service."""
    async with open_house(redis, postgres, postgres_dsn, redis_url) as opened:
        yield opened


async def test_shelf_holds_for_the_very_next_draw_on_every_replica(house: House) -> None:
    """Off it, neither replica draws; back on it, both do."""
    goods_id = (await house.boxed(stock=9)).goods_id
    assert ["", ""] == await house.buy_everywhere(goods_id, "first")
    await house.change(goods_id, on_shelf=False)
    assert ["GOODS_OFF_SHELF"] * 2 == await house.buy_everywhere(goods_id, "second")
    await house.change(goods_id, on_shelf=True)
    assert ["", ""] == await house.buy_everywhere(goods_id, "third")
    await house.change(goods_id, is_ended=True)
    assert ["GOODS_OFF_SHELF"] * 2 == await house.buy_everywhere(goods_id, "fourth")


async def test_protection_holds_for_the_very_next_draw_on_every_replica(house: House) -> None:
    """The box is the last buyer's alone while it is set, also from before it was."""
    goods_id = (await house.boxed(stock=9)).goods_id
    assert "" == await house.buy(goods_id, "a", 0, user_id=7)
    await house.change(goods_id, protection_seconds=600)
    assert "BOX_PROTECTED" == await house.buy(goods_id, "b", 1, user_id=8)
    assert "" == await house.buy(goods_id, "c", 1, user_id=7)
    await house.change(goods_id, protection_seconds=0)
    assert "" == await house.buy(goods_id, "d", 0, user_id=8)


async def test_block_holds_in_boxes_opened_before_and_after(house: House) -> None:
    """A block is of the user, whatever the box."""
    user_id = await house.mall.postgres.fetchval(
        "INSERT INTO users (username, password_hash) VALUES ('mallory', '') RETURNING id"
    )
    goods_id = (await house.boxed(stock=9)).goods_id
    await house.admin(CreateBlockRequest(user_id=user_id))
    await house.open(goods_id)
    for num in (1, 2):
        refusal = await house.buy(goods_id, f"blocked-{num}", 0, user_id=user_id, num=num)
        assert "USER_BLOCKED" == refusal
        assert "" == await house.buy(goods_id, f"free-{num}", 1, user_id=user_id + 1, num=num)


async def test_infinite_goods_draw_from_unlimited_items(house: House) -> None:
    """By their weights, beside one that runs out."""
    goods_id = (await house.goods(type="infinite")).goods_id
    shang = await house.shang(goods_id)
    await house.item(shang, title="Pin", weight=1)
    await house.item(shang, title="Mug", stock=1)
    await house.open(goods_id)
    assert ["", ""] == [await house.buy(goods_id, str(n), n, count=100) for n in (0, 1)]


async def test_box_bought_empty_ends_and_reveals_its_seed(
    redis: Redis, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """Once its last prize is recorded; the goods' other box goes on."""
    async with (
        open_house(redis, postgres, postgres_dsn, redis_url, watch_every_s=0.01) as house,
        recording(postgres_dsn, redis_url),
    ):
        goods_id = (await house.goods()).goods_id
        shang = await house.shang(goods_id)
        await house.item(shang, stock=4)
        await house.item(shang, is_last_prize=True)
        await house.open(goods_id, 2)
        assert ["", ""] == [await house.buy(goods_id, str(n), n, count=2) for n in (0, 1)]

        async def has_ended() -> bool:
            await house.finisher.look()
            return bool(await postgres.fetchval("SELECT is_ended FROM boxes WHERE num = 1"))

        async def is_revealed() -> bool:
            return bool(await postgres.fetchval("SELECT count(*) FROM pool_reveals"))

        await eventually(has_ended)
        await eventually(is_revealed)
        assert "SOLD_OUT" == await house.buy(goods_id, "late", 0)
        assert "" == await house.buy(goods_id, "second box", 0, num=2)
        assert 1 == await postgres.fetchval("SELECT count(*) FROM pool_reveals")


async def crash_between_publication_and_commit(house: House, goods_id: int) -> None:
    """The goods are stored off the shelf, and so is their box published; the rest was lost."""
    postgres = house.mall.postgres
    await postgres.execute("UPDATE goods SET on_shelf = false, revision = revision + 1")
    async with GoodsStore(postgres).writing() as rows:
        box = await rows.box_of_pool(1)
        assert box is not None
        config = box_pool_config(await rows.goods(goods_id), box, await rows.box_prizes(1))
        expected, version = await rows.lock_pool(1), await rows.next_version()
    assert POOL_STATUS_PAUSED == config.status
    await house.mall.shop()(
        PublishPoolRequest(pool_id=1, version=version, config=config, expected_version=expected)
    )


async def test_box_heals_after_a_crash_between_publication_and_commit(
    house: House, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """The recorder tells Postgres what is live, and the finisher notes that the box has it."""
    goods_id = (await house.boxed(stock=9)).goods_id
    await crash_between_publication_and_commit(house, goods_id)
    assert ["GOODS_OFF_SHELF"] * 2 == await house.buy_everywhere(goods_id, "crashed")

    async def is_healed() -> bool:
        await house.finisher.look()
        return bool(await postgres.fetchval("SELECT revision = 2 FROM boxes"))

    async with recording(postgres_dsn, redis_url):
        await eventually(is_healed)
        assert ["GOODS_OFF_SHELF"] * 2 == await house.buy_everywhere(goods_id, "healed")
        await house.change(goods_id, on_shelf=True)
        assert ["", ""] == await house.buy_everywhere(goods_id, "back")
    (state,) = (await house.mall.shop()(InspectPoolsRequest(pool_ids=[1]))).pools
    assert state.version == await postgres.fetchval("SELECT version FROM pools")
