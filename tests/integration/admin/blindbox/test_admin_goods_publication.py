"""How changes of goods reach their boxes, and what holds when that goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.admin.v1.goods_pb2 import Goods, ListGoodsRequest, UpdateGoodsRequest
from kuji.draw.v1 import pool_pb2

from services.common.errors import KujiError, OverloadedError, PoolNotLoadedError, UnavailableError
from tests.support.admin import World, failure, open_world, settled_or_waiting

OPEN = pool_pb2.POOL_STATUS_OPEN
PAUSED = pool_pb2.POOL_STATUS_PAUSED
ENDED = pool_pb2.POOL_STATUS_ENDED


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service that does not wait long for the recorder."""
    async with open_world(postgres, postgres_dsn, catch_up_timeout_s=0.1) as opened:
        yield opened


def change(goods: Goods, **fields: Any) -> UpdateGoodsRequest:
    return UpdateGoodsRequest(goods_id=goods.goods_id, **fields)


async def update(world: World, goods: Goods, **fields: Any) -> Goods:
    changed: Goods = (await world.admin(change(goods, **fields))).goods
    return changed


def live(world: World) -> list[int]:
    """The live status of each pool, by id."""
    return [pool.config.status for _, pool in sorted(world.pools.pools.items())]


async def boxes(world: World) -> list[tuple[int, bool]]:
    """The revision of each box, and whether it has ended."""
    rows = await world.postgres.fetch("SELECT revision, is_ended FROM boxes ORDER BY pool_id")
    return [tuple(row) for row in rows]


async def stored(world: World) -> Goods:
    """The newest goods, as listed."""
    goods: Goods = (await world.admin(ListGoodsRequest())).goods[0]
    return goods


async def agree(world: World) -> bool:
    """Whether Postgres knows the live version of every pool."""
    versions = await world.postgres.fetch("SELECT id, version FROM pools ORDER BY id")
    return {row["id"]: row["version"] for row in versions} == {
        pool_id: pool.version for pool_id, pool in world.pools.pools.items()
    }


async def test_shelf_holds_in_every_box_before_the_call_returns(world: World) -> None:
    """Off it, none of its boxes draws; back on it, all of them do. Other goods are left alone."""
    goods = await world.boxed(6)
    await world.boxed()
    assert not (await update(world, goods, on_shelf=False)).on_shelf
    assert ([PAUSED] * 6 + [OPEN], [(2, False)] * 6 + [(1, False)]) == (
        live(world),
        await boxes(world),
    )
    await update(world, goods, on_shelf=True)
    assert ([OPEN] * 7, [(3, False)] * 6 + [(1, False)]) == (live(world), await boxes(world))
    assert await agree(world)


async def test_protection_holds_in_every_box_before_the_call_returns(world: World) -> None:
    """In milliseconds there."""
    goods = await world.boxed(2)
    await update(world, goods, protection_seconds=90)
    pools = world.pools.pools.values()
    assert [90_000] * 2 == [pool.config.protection_ms for pool in pools]


async def test_confirm_holds_in_every_box_before_the_call_returns(world: World) -> None:
    """What confirms a win is a matter of draws."""
    goods = await world.boxed(2)
    assert "store" == goods.confirm
    assert "recorded" == (await update(world, goods, confirm="recorded")).confirm
    pools = world.pools.pools.values()
    assert [pool_pb2.CONFIRM_RECORDED] * 2 == [pool.config.confirm for pool in pools]


async def test_end_ends_every_box_for_good(world: World) -> None:
    """Later changes of the goods do not touch the boxes again."""
    goods = await world.boxed(2)
    await update(world, goods, is_ended=True)
    assert ([ENDED] * 2, [(2, True)] * 2) == (live(world), await boxes(world))
    publications = world.pools.publications
    await update(world, goods, on_shelf=False)
    await world.finisher.look()
    assert publications == world.pools.publications


@pytest.mark.parametrize(
    "fields",
    [{"title": "Summer"}, {"price": "12.00"}, {"image_url": "s.png"}, {"on_shelf": True}, {}],
    ids=repr,
)
async def test_what_concerns_no_draw_is_published_nowhere(
    world: World, fields: dict[str, Any]
) -> None:
    """A name, a price, a picture, or what holds already."""
    goods = await world.boxed(2)
    publications = world.pools.publications
    await update(world, goods, **fields)
    await world.finisher.look()
    assert (publications, [(1, False)] * 2) == (world.pools.publications, await boxes(world))


async def message_of(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert grpc.StatusCode.UNAVAILABLE == caught.value.code()
    return caught.value.details() or ""


@pytest.mark.parametrize(
    "refusal", [PoolNotLoadedError(), OverloadedError(), UnavailableError(), KujiError()], ids=repr
)
async def test_change_that_gets_half_way_is_brought_through(
    world: World, refusal: KujiError
) -> None:
    """It is stored and holds where it can; the caller is told, and the finisher does the rest."""
    goods = await world.boxed(3)
    world.pools.refusals[2] = refusal
    told = await message_of(world.admin(change(goods, on_shelf=False)))
    assert "it will hold in all of them in a moment, by itself" in told
    assert ([PAUSED, OPEN, PAUSED], [(2, False), (1, False), (2, False)]) == (
        live(world),
        await boxes(world),
    )
    assert not (await stored(world)).on_shelf
    await world.finisher.look()
    assert OPEN == live(world)[1]
    world.pools.refusals.clear()
    await world.finisher.look()
    assert ([PAUSED] * 3, [(2, False)] * 3) == (live(world), await boxes(world))
    assert await agree(world)


async def test_change_repeated_brings_itself_through(world: World) -> None:
    """What is stored already is no change, but the call returns only once it holds everywhere."""
    goods = await world.boxed(3)
    world.pools.refusals[2] = OverloadedError()
    await failure(world.admin(change(goods, on_shelf=False)))
    assert "UNAVAILABLE" == (await failure(world.admin(change(goods, on_shelf=False))))[0]
    world.pools.refusals.clear()
    await update(world, goods, on_shelf=False)
    assert ([PAUSED] * 3, [(2, False)] * 3) == (live(world), await boxes(world))


async def test_change_goes_on_while_the_draw_service_is_away(world: World) -> None:
    """It is stored, and holds once the service is back; a later change of mind is what holds."""
    goods = await world.boxed(2)
    world.pools.refusal = UnavailableError()
    await failure(world.admin(change(goods, on_shelf=False)))
    await failure(world.admin(change(goods, on_shelf=True, protection_seconds=9)))
    await world.finisher.look()
    world.pools.refusal = None
    await world.finisher.look()
    assert ([OPEN] * 2, [(3, False)] * 2) == (live(world), await boxes(world))
    pools = world.pools.pools.values()
    assert [9000] * 2 == [pool.config.protection_ms for pool in pools]


@pytest.mark.parametrize(("publish_timeout_s", "patience_s"), [(0.3, 8), (8, 1)])
async def test_change_is_brought_through_when_the_draw_service_hangs(
    postgres: asyncpg.Pool, postgres_dsn: str, publish_timeout_s: float, patience_s: float
) -> None:
    """Whoever loses patience first, the answer is ours; the change is stored, and holds later."""
    async with open_world(postgres, postgres_dsn, publish_timeout_s=publish_timeout_s) as world:
        goods = await world.boxed(2)
        world.pools.hold = asyncio.Event()
        told = await message_of(world.admin(change(goods, on_shelf=False), timeout=patience_s))
        assert "by itself" in told
        assert (False, [OPEN] * 2) == ((await stored(world)).on_shelf, live(world))
        world.pools.hold = None
        await world.finisher.look()
        assert ([PAUSED] * 2, [(2, False)] * 2) == (live(world), await boxes(world))


async def crash_between_publication_and_commit(world: World, goods: Goods) -> None:
    """The live store has the goods off the shelf; of the box, Postgres has what was before."""
    world.pools.answers_lost = 1
    assert "UNAVAILABLE" == (await failure(world.admin(change(goods, on_shelf=False))))[0]
    assert ([PAUSED], [(1, False)]) == (live(world), await boxes(world))
    assert not await agree(world)


async def repair(world: World) -> None:
    """What the recorder does, having found the configuration in the ledger."""
    for pool_id, pool in world.pools.pools.items():
        await world.postgres.execute(
            "UPDATE pools SET version = $2 WHERE id = $1", pool_id, pool.version
        )


async def test_box_is_healed_after_a_crash_between_publication_and_commit(world: World) -> None:
    """Once the recorder has seen what is live, the finisher publishes the box again."""
    await crash_between_publication_and_commit(world, await world.boxed())
    await world.finisher.look()
    assert [(1, False)] == await boxes(world)
    await repair(world)
    await world.finisher.look()
    assert ([PAUSED], [(2, False)]) == (live(world), await boxes(world))
    assert await agree(world)


async def test_box_is_healed_by_the_next_change_after_a_crash(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """A change that comes before the recorder waits for it, and then holds."""
    async with open_world(postgres, postgres_dsn, catch_up_timeout_s=5) as world:
        goods = await world.boxed()
        await crash_between_publication_and_commit(world, goods)
        changing = asyncio.create_task(update(world, goods, on_shelf=True))
        await world.pools.refused.wait()
        await repair(world)
        assert (await changing).on_shelf
        assert ([OPEN], [(3, False)]) == (live(world), await boxes(world))
        assert await agree(world)


async def test_box_is_left_to_the_finisher_when_the_live_store_is_ahead(world: World) -> None:
    """Without the recorder nothing is forced; the caller is told that it will hold."""
    goods = await world.boxed()
    world.pools.pools[1].version += 1000
    assert "UNAVAILABLE" == (await failure(world.admin(change(goods, on_shelf=False))))[0]
    assert ([OPEN], [(1, False)]) == (live(world), await boxes(world))


async def test_racing_changes_end_with_the_last_one_stored(world: World) -> None:
    """Eight at once: every box has what the goods have in the end, and Postgres knows it."""
    goods = await world.boxed(3)
    await asyncio.gather(
        *(
            update(world, goods, protection_seconds=number, on_shelf=bool(number % 2))
            for number in range(1, 9)
        )
    )
    last = await stored(world)
    status = OPEN if last.on_shelf else PAUSED
    assert [(status, last.protection_seconds * 1000)] * 3 == [
        (pool.config.status, pool.config.protection_ms) for pool in world.pools.pools.values()
    ]
    assert [(9, False)] * 3 == await boxes(world)
    assert await agree(world)


async def test_change_reaches_boxes_that_are_being_opened(world: World) -> None:
    """It waits for them, and pauses them with the others."""
    goods = await world.boxed()
    world.pools.hold = asyncio.Event()
    opening = asyncio.create_task(world.open(goods.goods_id, 2))
    await world.pools.held.wait()
    changing = asyncio.create_task(update(world, goods, on_shelf=False))
    await settled_or_waiting(world, changing)
    world.pools.hold.set()
    await asyncio.gather(opening, changing)
    assert ([PAUSED] * 3, [(2, False)] * 3) == (live(world), await boxes(world))


async def test_change_yields_to_one_that_came_while_it_waited_for_the_box(world: World) -> None:
    """A box is published as its goods are once its turn comes, not as they were."""
    goods = await world.boxed()
    async with world.postgres.acquire() as other, other.transaction():
        await other.execute("SELECT FROM pools WHERE id = 1 FOR UPDATE")
        first = asyncio.create_task(update(world, goods, on_shelf=False))
        await settled_or_waiting(world, first)
        second = asyncio.create_task(update(world, goods, on_shelf=True))
        await goods_at_revision(world, 3)
    publications = world.pools.publications
    await asyncio.gather(first, second)
    assert (publications + 1, [OPEN], [(3, False)]) == (
        world.pools.publications,
        live(world),
        await boxes(world),
    )


async def goods_at_revision(world: World, revision: int) -> None:
    """Return once the goods are stored so."""
    async with asyncio.timeout(5):
        while revision != await world.postgres.fetchval("SELECT revision FROM goods"):
            pass
