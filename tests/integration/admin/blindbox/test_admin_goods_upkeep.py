"""What happens to boxes by itself: the empty ones end, and the others are left alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import ListAuditLogRequest
from kuji.admin.v1.goods_pb2 import Goods, UpdateGoodsRequest
from kuji.draw.v1 import pool_pb2

from services.admin.blindbox.store import GoodsStore
from services.common.errors import PoolNotLoadedError
from tests.support.admin import World, open_world

OPEN = pool_pb2.POOL_STATUS_OPEN
PAUSED = pool_pb2.POOL_STATUS_PAUSED
ENDED = pool_pb2.POOL_STATUS_ENDED


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


async def sell(world: World, pool_id: int, prize_id: int, count: int) -> None:
    """Draw so many units of a prize, and record them."""
    world.pools.pools[pool_id].draw(prize_id, count)
    await world.record(pool_id, prize_id, count)


def live(world: World) -> list[int]:
    """The live status of each pool, by id."""
    return [pool.config.status for _, pool in sorted(world.pools.pools.items())]


async def ended(world: World) -> list[bool]:
    """Of each box, whether it has ended."""
    rows = await world.postgres.fetch("SELECT is_ended FROM boxes ORDER BY pool_id")
    return [row["is_ended"] for row in rows]


async def with_last_prize(world: World) -> Goods:
    """Goods with two mugs (prize 1) and a lamp for the last ticket (prize 2), in one box."""
    goods = await world.goods()
    shang = await world.shang(goods.goods_id)
    await world.item(shang, stock=2)
    await world.item(shang, is_last_prize=True)
    await world.open(goods.goods_id)
    return goods


async def test_box_that_is_sold_out_ends(world: World) -> None:
    """In Postgres and in the live store, so that its seed can be revealed; the others go on."""
    await world.boxed(2, stock=3)
    await sell(world, 1, 1, 3)
    await sell(world, 2, 2, 2)
    await world.finisher.look()
    assert ([ENDED, OPEN], [True, False]) == (live(world), await ended(world))
    assert world.pools.pools[1].version == await world.postgres.fetchval(
        "SELECT version FROM pools WHERE id = 1"
    )


async def test_box_is_not_sold_out_before_its_last_prize_is_recorded(world: World) -> None:
    """Nor before every ticket is."""
    await with_last_prize(world)
    for prize_id, status in ((1, OPEN), (1, OPEN), (2, ENDED)):
        await sell(world, 1, prize_id, 1)
        await world.finisher.look()
        assert [status] == live(world)


async def test_infinite_box_ends_once_nothing_is_left(world: World) -> None:
    """Where every item had a stock."""
    await world.boxed(1, stock=2, type="infinite")
    await sell(world, 1, 1, 2)
    await world.finisher.look()
    assert ([ENDED], [True]) == (live(world), await ended(world))


async def test_infinite_box_with_an_unlimited_item_never_sells_out(world: World) -> None:
    """However much is won of it."""
    goods_id = (await world.goods(type="infinite")).goods_id
    shang = await world.shang(goods_id)
    await world.item(shang, weight=9)
    await world.item(shang, stock=1)
    await world.open(goods_id)
    await sell(world, 1, 1, 1000)
    await sell(world, 1, 2, 1)
    assert [] == await GoodsStore(world.postgres).due_boxes()
    await world.finisher.look()
    assert ([OPEN], [False]) == (live(world), await ended(world))


async def test_box_off_the_shelf_ends_too(world: World) -> None:
    """An end comes before the shelf."""
    goods = await world.boxed(1, stock=1)
    await world.admin(UpdateGoodsRequest(goods_id=goods.goods_id, on_shelf=False))
    await sell(world, 1, 1, 1)
    await world.finisher.look()
    assert ([ENDED], [True]) == (live(world), await ended(world))


async def test_end_of_a_box_is_in_the_audit_log(world: World) -> None:
    """The system has a name there."""
    goods = await world.boxed(1, stock=1)
    await sell(world, 1, 1, 1)
    await world.finisher.look()
    entry = (await world.admin(ListAuditLogRequest())).entries[0]
    assert ("kuji", "box.finish", f"box:{goods.goods_id}-1") == (
        entry.username,
        entry.action,
        entry.subject,
    )
    detail: dict[str, Any] = {"goods_id": goods.goods_id, "num": 1}
    assert {**detail, "is_ended": {"from": False, "to": True}} == json.loads(entry.detail)


async def test_look_changes_nothing_when_nothing_is_due(world: World) -> None:
    """No version, no line in the log, for boxes that are as they should be."""
    await world.boxed(2)
    ended_before = await world.boxed()
    await world.admin(UpdateGoodsRequest(goods_id=ended_before.goods_id, is_ended=True))
    sold_out = await world.boxed(1, stock=1)
    await sell(world, 4, await prize_of(world, 4), 1)
    await world.finisher.look()
    assert [OPEN, OPEN, ENDED, ENDED] == live(world)
    rows = await world.dump()
    await world.finisher.look()
    assert rows == await world.dump()
    assert sold_out.goods_id == rows["goods"][-1][0]


async def prize_of(world: World, pool_id: int) -> int:
    """The one prize of a pool."""
    prize_id: int = await world.postgres.fetchval(
        "SELECT id FROM prizes WHERE pool_id = $1", pool_id
    )
    return prize_id


async def test_end_happens_once_when_processes_race(world: World) -> None:
    """Looks of several processes at the same time make one change of each box."""
    await world.boxed(3, stock=1)
    for number in (1, 2, 3):
        await sell(world, number, number, 1)
    publications = world.pools.publications
    await asyncio.gather(*(world.finisher.look() for _ in range(4)))
    assert (publications + 3, [ENDED] * 3) == (world.pools.publications, live(world))
    assert 3 == await world.postgres.fetchval(
        "SELECT count(*) FROM audit_log WHERE action = 'box.finish'"
    )


async def test_end_of_one_does_not_wait_for_another_s_trouble(world: World) -> None:
    """A box that cannot be published now is left for the next look."""
    await world.boxed(2, stock=1)
    await sell(world, 1, 1, 1)
    await sell(world, 2, 2, 1)
    world.pools.refusals[1] = PoolNotLoadedError()
    await world.finisher.look()
    assert [False, True] == await ended(world)
    world.pools.refusals.clear()
    await world.finisher.look()
    assert [True, True] == await ended(world)


async def test_end_of_a_box_heals_after_a_crash_between_publication_and_commit(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """Ended in the live store and not in Postgres, it is ended again and logged once."""
    async with open_world(postgres, postgres_dsn, catch_up_timeout_s=0.1) as world:
        await world.boxed(1, stock=1)
        await sell(world, 1, 1, 1)
        world.pools.answers_lost = 1
        await world.finisher.look()
        assert ([ENDED], [False]) == (live(world), await ended(world))
        await postgres.execute("UPDATE pools SET version = $1", world.pools.pools[1].version)
        await world.finisher.look()
        assert ([ENDED], [True]) == (live(world), await ended(world))
        assert 1 == await postgres.fetchval(
            "SELECT count(*) FROM audit_log WHERE action = 'box.finish'"
        )


async def test_change_of_goods_ends_what_is_sold_out_on_its_way(world: World) -> None:
    """Off the shelf, the empty box has ended, the other one is paused."""
    goods = await world.boxed(2, stock=1)
    await sell(world, 1, 1, 1)
    await world.admin(UpdateGoodsRequest(goods_id=goods.goods_id, on_shelf=False))
    assert ([ENDED, PAUSED], [True, False]) == (live(world), await ended(world))
