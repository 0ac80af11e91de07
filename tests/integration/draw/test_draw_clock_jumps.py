"""Redis's clock jumps: nothing is drawn by the wrong time, and nobody has to come afterwards."""

import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.pool.store import redis_store
from services.pool.store.scripts import load_script
from tests.support.admin import failure
from tests.support.blindbox import ItemSpec
from tests.support.blindbox_draw import Mall, drew, open_mall
from tests.support.clocks import set_clock, with_set_clock
from tests.support.draw_service import World

SURE = 1_000_000_000
DAY_S = 86_400
JUMPS = pytest.mark.parametrize("jump_s", [2 * DAY_S, -DAY_S], ids=["ahead", "back"])


@pytest.fixture
async def mall(
    monkeypatch: pytest.MonkeyPatch,
    postgres: asyncpg.Pool,
    postgres_dsn: str,
    redis_url: str,
    redis: Redis,
) -> AsyncIterator[Mall]:
    """A draw service; its scripts take set_clock()'s time for Redis's, once it is set."""
    monkeypatch.setattr(redis_store, "load_script", lambda name: with_set_clock(load_script(name)))
    async with open_mall(redis, postgres, postgres_dsn, redis_url, sweep_after_s=0.0) as mall:
        yield mall


@pytest.fixture
def world(mall: Mall) -> World:
    return mall.world


async def jump(redis: Redis, seconds: int) -> None:
    """Set Redis's clock so far ahead or back; 0: it is right again."""
    await set_clock(redis, int((time.time() + seconds) * 1_000_000) if seconds else None)


@JUMPS
async def test_draws_stop_while_the_clock_is_off_and_go_on_when_it_is_right(
    world: World, redis: Redis, jump_s: int
) -> None:
    """A3: no id draws anew, no day's quota is given twice; refused with a hint to ask again."""
    activity = await world.activity((9, SURE), limits=pool_pb2.UserLimits(draws_per_day=1))
    first = await world.user(1).draw(activity.activity_id, "a")
    await jump(redis, jump_s)
    refused = await failure(world.user(1).draw(activity.activity_id, "b"))
    assert ("UNAVAILABLE", {"retry_after_ms": "5000"}) == refused
    assert first.draw_id == (await world.user(1).draw(activity.activity_id, "a")).draw_id
    outcomes = await world.service().batch((activity.activity_id, 2, "a"))
    assert "UNAVAILABLE" == outcomes[0].error.reason
    await jump(redis, 0)
    assert first.draw_id == (await world.user(1).draw(activity.activity_id, "a")).draw_id
    spent = await failure(world.user(1).draw(activity.activity_id, "b"))
    assert ("QUOTA_SPENT", {"quota": "draws_per_day"}) == spent
    assert not (await world.user(2).draw(activity.activity_id, "a")).replayed
    assert [7] == await world.left(activity)


@JUMPS
async def test_change_waits_while_the_clock_is_off(world: World, redis: Redis, jump_s: int) -> None:
    """The ledger bears no time that never was, and the next try goes through."""
    activity = await world.activity((9, SURE))
    await jump(redis, jump_s)
    activity.config.status = pool_pb2.POOL_STATUS_PAUSED
    assert "UNAVAILABLE" == (await failure(world.publish(activity)))[0]
    await jump(redis, 0)
    await world.publish(activity)
    refused = await failure(world.user(1).draw(activity.activity_id, "a"))
    assert ("ACTIVITY_NOT_ONGOING", {"status": "paused"}) == refused


async def test_order_is_settled_after_the_clock_was_off(mall: Mall, redis: Redis) -> None:
    """It stays reserved meanwhile, and is neither released nor drawn by the wrong time."""
    box = await mall.box(ItemSpec(3))
    await mall.shop().order(box, "before")
    await jump(redis, 2 * DAY_S)
    assert "UNAVAILABLE" == (await failure(mall.shop().order(box, "a")))[0]
    await jump(redis, 0)
    placed = await mall.shop().order(box, "a")
    assert [drew(placed)] == [drew(await mall.shop().order(box, "a"))]
    statuses = await mall.postgres.fetch("SELECT DISTINCT status FROM orders")
    assert ["drawn"] == [row["status"] for row in statuses]
