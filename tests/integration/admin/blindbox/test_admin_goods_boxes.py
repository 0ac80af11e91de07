"""Boxes opened over gRPC: a real Postgres, live pools in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import (
    DeletePrizeRequest,
    ListAuditLogRequest,
    ListPrizesRequest,
    UpdatePrizeRequest,
)
from kuji.admin.v1.goods_pb2 import ListGoodsRequest, OpenBoxesRequest, UpdateGoodsRequest
from kuji.draw.v1 import pool_pb2

from services.common.errors import OverloadedError, UnavailableError
from tests.support.admin import World, failure, open_world
from tests.support.live_pools import COMMITMENT

OPEN = pool_pb2.POOL_STATUS_OPEN
PAUSED = pool_pb2.POOL_STATUS_PAUSED


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


def live(world: World) -> list[pool_pb2.PoolConfig]:
    """The live configuration of each pool, by id."""
    return [pool.config for _, pool in sorted(world.pools.pools.items())]


async def boxes(world: World) -> list[tuple[Any, ...]]:
    """Number, pool and revision of each box, and whether it has ended."""
    rows = await world.postgres.fetch(
        "SELECT num, pool_id, revision, is_ended FROM boxes ORDER BY goods_id, num"
    )
    return [tuple(row) for row in rows]


async def opened(world: World, goods_id: int) -> int:
    """How many boxes the list of goods shows."""
    answer = await world.admin(ListGoodsRequest())
    (count,) = [goods.boxes for goods in answer.goods if goods.goods_id == goods_id]
    return int(count)


async def test_opening_stores_and_publishes_each_box(world: World) -> None:
    """Each is a pool with a commitment, and with the goods' items as prizes of its own."""
    goods_id = (await world.goods(protection_seconds=30)).goods_id
    shang = await world.shang(goods_id)
    await world.item(shang, title="Mug", img_url="m.png", stock=5)
    await world.item(shang, title="Lamp", is_last_prize=True)
    assert [1, 2] == await world.open(goods_id, 2)
    assert [(1, 1, 1, False), (2, 2, 1, False)] == await boxes(world)
    for pool_id, first_prize in ((1, 1), (2, 3)):
        assert (
            pool_pb2.PoolConfig(
                mode=pool_pb2.POOL_MODE_TICKETS,
                status=OPEN,
                protection_ms=30_000,
                goods_revision=1,
                prizes=[
                    pool_pb2.PoolPrize(
                        prize_id=first_prize, name="Mug", image_url="m.png", units=5, enabled=True
                    ),
                    pool_pb2.PoolPrize(
                        prize_id=first_prize + 1,
                        name="Lamp",
                        units=1,
                        enabled=True,
                        last_prize=True,
                    ),
                ],
            )
            == world.pools.pools[pool_id].config
        )
    pools = await world.postgres.fetch("SELECT id, mode, seed_commitment, version FROM pools")
    assert [
        (pool_id, "tickets", bytes.fromhex(COMMITMENT), pool.version)
        for pool_id, pool in world.pools.pools.items()
    ] == [tuple(row) for row in pools]


async def test_box_has_a_row_in_the_books_for_each_item(world: World) -> None:
    """Like an activity's prizes, but of no activity; unlimited has no count."""
    goods_id = (await world.goods(type="infinite")).goods_id
    shang = await world.shang(goods_id)
    finite = await world.item(shang, title="Mug", img_url="m.png", stock=5)
    unlimited = await world.item(shang, title="Pin", weight=9)
    assert [1] == await world.open(goods_id)
    assert [pool_pb2.POOL_MODE_WEIGHTS] == [config.mode for config in live(world)]
    assert "weights" == await world.postgres.fetchval("SELECT mode FROM pools")
    rows = await world.postgres.fetch(
        "SELECT goods_item_id, pool_id, activity_id, name, image_url, total_count, won_count,"
        " probability_ppb FROM prizes ORDER BY id"
    )
    assert [
        (finite.goods_item_id, 1, None, "Mug", "m.png", 5, 0, 0),
        (unlimited.goods_item_id, 1, None, "Pin", "", None, 0, 0),
    ] == [tuple(row) for row in rows]


async def test_boxes_are_numbered_on(world: World) -> None:
    """One unless told otherwise; goods show how many there are."""
    goods = await world.boxed(2)
    assert [3] == list((await world.admin(OpenBoxesRequest(goods_id=goods.goods_id))).nums)
    assert [4, 5, 6] == await world.open(goods.goods_id, 3)
    assert 6 == await opened(world, goods.goods_id)


async def test_racing_openings_number_on(world: World) -> None:
    """Eight at once: no number twice, none left out."""
    goods = await world.boxed(1)
    answers = await asyncio.gather(*(world.open(goods.goods_id, 2) for _ in range(8)))
    assert list(range(2, 18)) == sorted(num for nums in answers for num in nums)
    assert all(first + 1 == second for first, second in answers)


async def test_box_of_goods_off_the_shelf_does_not_draw(world: World) -> None:
    """It is there, and paused."""
    await world.boxed(on_shelf=False)
    assert [PAUSED] == [config.status for config in live(world)]


@pytest.mark.parametrize("count", [-1, 101, 2**31 - 1])
async def test_opening_refuses_counts_out_of_bounds(world: World, count: int) -> None:
    """One call opens 1 to 100."""
    goods = await world.boxed()
    rows = await world.dump()
    request = OpenBoxesRequest(goods_id=goods.goods_id, count=count)
    assert ("INVALID_ARGUMENT", {"field": "count"}) == await failure(world.admin(request))
    assert rows == await world.dump()


async def test_infinite_goods_have_one_box(world: World) -> None:
    """Neither two at once nor a second one."""
    goods_id = (await world.goods(type="infinite")).goods_id
    await world.item(await world.shang(goods_id), stock=5)
    refusal = ("INVALID_ARGUMENT", {"field": "count"})
    assert refusal == await failure(world.open(goods_id, 2))
    assert [1] == await world.open(goods_id)
    assert refusal == await failure(world.open(goods_id))


async def test_ichiban_goods_have_a_thousand_boxes(world: World) -> None:
    """The last hundred fit, one more does not."""
    goods = await world.boxed(1)
    await world.postgres.execute(
        "INSERT INTO pools (id, mode, seed_commitment)"
        " SELECT n, 'tickets', sha256('') FROM generate_series(10001, 10899) AS n"
    )
    await world.postgres.execute(
        "INSERT INTO boxes (goods_id, num, pool_id, revision)"
        " SELECT $1, n - 9999, n, 1 FROM generate_series(10001, 10899) AS n",
        goods.goods_id,
    )
    assert list(range(901, 1001)) == await world.open(goods.goods_id, 100)
    refusal = ("INVALID_ARGUMENT", {"field": "count"})
    assert refusal == await failure(world.open(goods.goods_id))


async def test_opening_needs_an_item_with_tickets(world: World) -> None:
    """A last prize alone has none; no pool is made in vain."""
    goods_id = (await world.goods()).goods_id
    refusal = ("INVALID_ARGUMENT", {"field": "items"})
    assert refusal == await failure(world.open(goods_id))
    await world.item(await world.shang(goods_id), is_last_prize=True)
    assert refusal == await failure(world.open(goods_id))
    assert {} == world.pools.pools


async def test_goods_that_have_ended_open_no_further_boxes(world: World) -> None:
    """There is nothing to draw from them any more."""
    goods = await world.boxed()
    await world.admin(UpdateGoodsRequest(goods_id=goods.goods_id, is_ended=True))
    refusal = ("INVALID_ARGUMENT", {"field": "goods_id"})
    assert refusal == await failure(world.open(goods.goods_id))


async def test_others_pass_while_many_boxes_are_opened(world: World) -> None:
    """G11: a hundred boxes of 256 items are a hundred small changes; another comes between them."""
    goods_id = (await world.goods()).goods_id
    shang = await world.shang(goods_id)
    first = await world.item(shang, stock=1)
    await world.postgres.execute(
        "INSERT INTO goods_items (goods_id, shang_id, title, img_url, price, sc_money, stock)"
        " SELECT goods_id, shang_id, title, img_url, price, sc_money, n"
        " FROM goods_items, generate_series(2, 256) AS n WHERE id = $1",
        first.goods_item_id,
    )
    opening = asyncio.create_task(world.open(goods_id, 100))
    while len(await boxes(world)) < 3:  # noqa: ASYNC110  # nothing tells us
        await asyncio.sleep(0.01)
    await world.admin(UpdateGoodsRequest(goods_id=goods_id, title="Meanwhile"))
    assert not opening.done()
    assert len(await boxes(world)) < 100
    assert list(range(1, 101)) == await opening
    while len(await boxes(world)) < 100:  # on a slow machine the call does not get to all
        await world.finisher.look()
    assert [256] * 100 == [len(config.prizes) for config in live(world)]


async def test_opening_is_none_when_the_first_is_refused(world: World) -> None:
    """Nothing is stored; its pool is nobody's."""
    goods = await world.boxed(1)
    rows = await world.dump()
    world.pools.refusals[2] = OverloadedError()
    assert "OVERLOADED" == (await failure(world.open(goods.goods_id, 3)))[0]
    assert rows == await world.dump()


async def test_boxes_that_a_call_did_not_get_to_are_opened_later(world: World) -> None:
    """They are there by their numbers, and by themselves; items stay fixed meanwhile."""
    goods = await world.boxed(1)
    world.pools.refusals[4] = OverloadedError()
    assert [2, 3, 4] == await world.open(goods.goods_id, 3)
    assert [1, 2, 3] == [num for num, *_ in await boxes(world)]
    assert 4 == await opened(world, goods.goods_id)
    assert [5] == await world.open(goods.goods_id)
    await asyncio.gather(*(world.finisher.look() for _ in range(3)))
    assert [1, 2, 3, 4, 5] == [num for num, *_ in await boxes(world)]
    publications = world.pools.publications
    await world.finisher.look()
    assert publications == world.pools.publications


async def test_opening_is_none_when_its_outcome_is_unknown(world: World) -> None:
    """The caller is told to look; nothing is there, and a repetition opens them."""
    goods = await world.boxed(1)
    rows = await world.dump()
    world.pools.answers_lost = 1
    assert "UNAVAILABLE" == (await failure(world.open(goods.goods_id, 2)))[0]
    world.pools.refusal = UnavailableError()
    assert "UNAVAILABLE" == (await failure(world.open(goods.goods_id, 2)))[0]
    assert rows == await world.dump()
    world.pools.refusal = None
    assert [2, 3] == await world.open(goods.goods_id, 2)


async def test_opening_is_in_the_audit_log(world: World) -> None:
    """Once for all the boxes of a call."""
    goods = await world.boxed(3)
    entry = (await world.admin(ListAuditLogRequest())).entries[0]
    detail = {"nums": [1, 2, 3], "boxes": {"from": 0, "to": 3}}
    assert ("boss", "boxes.open", f"goods:{goods.goods_id}", detail) == (
        entry.username,
        entry.action,
        entry.subject,
        json.loads(entry.detail),
    )


async def test_prizes_of_a_box_are_no_activity_s(world: World) -> None:
    """They are neither listed there nor can they be changed from there."""
    await world.boxed()
    prize_id = await world.postgres.fetchval("SELECT id FROM prizes")
    assert [] == list((await world.admin(ListPrizesRequest())).prizes)
    rows = await world.dump()
    for request in (
        UpdatePrizeRequest(prize_id=prize_id, total_count=99),
        DeletePrizeRequest(prize_id=prize_id),
    ):
        assert ("NOT_FOUND", {}) == await failure(world.admin(request))
    assert rows == await world.dump()
