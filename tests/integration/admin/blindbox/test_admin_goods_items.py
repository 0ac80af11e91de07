"""Items of goods over gRPC: a real Postgres, live pools in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from google.protobuf.message import Message
from kuji.admin.v1.admin_pb2 import ListAuditLogRequest
from kuji.admin.v1.goods_pb2 import (
    CreateGoodsItemRequest,
    GoodsItem,
    ListGoodsItemsRequest,
    Shang,
    UpdateGoodsItemRequest,
)

from tests.support.admin import World, failure, open_world, settled_or_waiting


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


@pytest.fixture
async def shang(world: World) -> Shang:
    """A level of ichiban goods."""
    return await world.shang((await world.goods()).goods_id)


@pytest.fixture
async def infinite(world: World) -> Shang:
    """A level of infinite goods."""
    return await world.shang((await world.goods(type="infinite")).goods_id)


async def items(world: World, goods_id: int) -> list[GoodsItem]:
    return list((await world.admin(ListGoodsItemsRequest(goods_id=goods_id))).items)


def change(item: GoodsItem, **fields: Any) -> UpdateGoodsItemRequest:
    return UpdateGoodsItemRequest(
        goods_id=item.goods_id, goods_item_id=item.goods_item_id, **fields
    )


async def update(world: World, item: GoodsItem, **fields: Any) -> GoodsItem:
    changed: GoodsItem = (await world.admin(change(item, **fields))).item
    return changed


async def test_item_keeps_what_was_given(world: World, shang: Shang) -> None:
    """Every field comes back as stored, money with two decimals, no weight as null."""
    item = await world.item(
        shang,
        title="Lamp",
        img_url="https://img.example/l.png",
        price="80",
        sc_money="9.5",
        stock=3,
    )
    assert (
        GoodsItem(
            goods_item_id=item.goods_item_id,
            goods_id=shang.goods_id,
            shang_id=shang.shang_id,
            title="Lamp",
            img_url="https://img.example/l.png",
            price="80.00",
            sc_money="9.50",
            stock=3,
            etag=item.etag,
        )
        == item
    )
    assert [item] == await items(world, shang.goods_id)


async def test_items_come_in_the_order_of_creation(world: World, shang: Shang) -> None:
    """Those of these goods alone."""
    titles = ["C", "A", "B"]
    for title in titles:
        await world.item(shang, title=title, stock=1)
    await world.item(await world.shang((await world.goods()).goods_id), stock=1)
    assert titles == [item.title for item in await items(world, shang.goods_id)]


async def test_infinite_item_may_be_unlimited(world: World, infinite: Shang) -> None:
    """No stock is null, and its weight is fixed; with a stock, the weight may be null."""
    unlimited = await world.item(infinite, weight=9)
    finite = await world.item(infinite, stock=4)
    assert (False, 9) == (unlimited.HasField("stock"), unlimited.weight)
    assert (4, False) == (finite.stock, finite.HasField("weight"))
    assert [unlimited, finite] == await items(world, infinite.goods_id)


@pytest.mark.parametrize("given", [{}, {"stock": 1}])
async def test_last_prize_has_one_unit(world: World, shang: Shang, given: dict[str, int]) -> None:
    """Given or left out."""
    item = await world.item(shang, is_last_prize=True, **given)
    assert (True, 1) == (item.is_last_prize, item.stock)


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"title": ""}, "title"),
    ({"title": "a" * 101}, "title"),
    ({"img_url": "a" * 2001}, "img_url"),
    ({"shang_id": -1}, "shang_id"),
    ({"shang_id": 2**62}, "shang_id"),
    ({"price": "9.999"}, "price"),
    ({"sc_money": "-1"}, "sc_money"),
    ({"stock": 0}, "stock"),
    ({"stock": 1_000_000_001}, "stock"),
    ({"stock": -1}, "stock"),
    ({"weight": 0}, "weight"),
    ({"weight": 7}, "weight"),
    ({"is_last_prize": True, "stock": 2}, "stock"),
]


async def test_item_refuses_bad_input(world: World, shang: Shang) -> None:
    """Each unfit field is named, new or changed, and nothing is stored."""
    item = await world.item(shang, stock=5)
    rows = await world.dump()
    new: dict[str, Any] = {
        "goods_id": shang.goods_id,
        "shang_id": shang.shang_id,
        "title": "Cup",
        "stock": 5,
    }
    requests: list[tuple[Message, str]] = [
        *(
            (CreateGoodsItemRequest(**{**new, **fields}), field)
            for fields, field in [*UNFIT, ({"shang_id": 0}, "shang_id")]
        ),
        *((change(item, **fields), field) for fields, field in [*UNFIT, ({"price": ""}, "price")]),
    ]
    for request, field in requests:
        refusal = await failure(world.admin(request))
        assert ("INVALID_ARGUMENT", {"field": field}) == refusal, request
    assert rows == await world.dump()


async def test_item_refuses_what_its_type_does_not_have(
    world: World, shang: Shang, infinite: Shang
) -> None:
    """Ichiban needs a stock; infinite has no last prize, and no item without stock and weight."""
    for of, is_last_prize, field in (
        (shang, False, "stock"),
        (infinite, False, "weight"),
        (infinite, True, "is_last_prize"),
    ):
        refusal = await failure(world.item(of, is_last_prize=is_last_prize))
        assert ("INVALID_ARGUMENT", {"field": field}) == refusal, field


async def test_item_refuses_the_level_of_other_goods(
    world: World, shang: Shang, infinite: Shang
) -> None:
    """A level belongs to its goods."""
    item = await world.item(shang, stock=1)
    new = CreateGoodsItemRequest(
        goods_id=shang.goods_id, shang_id=infinite.shang_id, title="Cup", stock=1
    )
    for request in (new, change(item, shang_id=infinite.shang_id)):
        assert ("INVALID_ARGUMENT", {"field": "shang_id"}) == await failure(world.admin(request))


async def test_second_last_prize_is_refused(world: World, shang: Shang) -> None:
    """Until the first one is an ordinary item again."""
    first = await world.item(shang, is_last_prize=True)
    second = await world.item(shang, stock=5)
    refusal = ("INVALID_ARGUMENT", {"field": "is_last_prize"})
    assert refusal == await failure(world.item(shang, is_last_prize=True))
    assert refusal == await failure(world.admin(change(second, is_last_prize=True)))
    assert first == await update(world, first, is_last_prize=True)
    await update(world, first, is_last_prize=False)
    changed = await update(world, second, is_last_prize=True)
    assert (True, 1) == (changed.is_last_prize, changed.stock)


async def test_racing_last_prizes_are_one(world: World, shang: Shang) -> None:
    """Eight at once: one is taken, the others are told why not."""
    answers = await asyncio.gather(
        *(world.item(shang, is_last_prize=True) for _ in range(8)), return_exceptions=True
    )
    assert 1 == sum(isinstance(answer, GoodsItem) for answer in answers)
    assert 1 == len(await items(world, shang.goods_id))


async def test_items_end_at_256(world: World, infinite: Shang) -> None:
    """A pool has no place for more."""
    await world.postgres.execute(
        "INSERT INTO goods_items (goods_id, shang_id, title, stock)"
        " SELECT $1, $2, n, 1 FROM generate_series(1, 255) AS n",
        infinite.goods_id,
        infinite.shang_id,
    )
    await world.item(infinite, stock=1)
    refusal = ("INVALID_ARGUMENT", {"field": "goods_id"})
    assert refusal == await failure(world.item(infinite, stock=1))


async def test_update_changes_only_what_is_given(world: World, infinite: Shang) -> None:
    """The rest stays; a text may become empty."""
    other = await world.shang(infinite.goods_id, title="B")
    item = await world.item(infinite, img_url="https://img.example/m.png", price="5", weight=3)
    changed = await update(
        world, item, title="Cup", img_url="", shang_id=other.shang_id, sc_money="1.5", stock=8
    )
    assert (
        GoodsItem(
            goods_item_id=item.goods_item_id,
            goods_id=item.goods_id,
            shang_id=other.shang_id,
            title="Cup",
            price="5.00",
            sc_money="1.50",
            stock=8,
            weight=3,
            etag=changed.etag,
        )
        == changed
    )
    assert [changed] == await items(world, item.goods_id)


async def test_update_to_the_same_is_no_change(world: World, shang: Shang) -> None:
    """Nothing is stored or logged."""
    item = await world.item(shang, price="9.9", stock=5)
    rows = await world.dump()
    assert item == await update(world, item, price="9.90", stock=5, title=" Mug ")
    assert rows == await world.dump()


async def test_unknown_items_are_not_found(world: World, shang: Shang, infinite: Shang) -> None:
    """Nor is an item of other goods, nor anything of goods that are not there."""
    item = await world.item(shang, stock=5)
    foreign = UpdateGoodsItemRequest(
        goods_id=infinite.goods_id, goods_item_id=item.goods_item_id, title="Mine"
    )
    unknown = UpdateGoodsItemRequest(goods_id=shang.goods_id, goods_item_id=99, title="Mine")
    for request in (foreign, unknown):
        assert ("NOT_FOUND", {}) == await failure(world.admin(request))
    for nowhere in (
        UpdateGoodsItemRequest(goods_id=99, goods_item_id=item.goods_item_id),
        CreateGoodsItemRequest(goods_id=99, shang_id=shang.shang_id, title="Mine", stock=1),
        ListGoodsItemsRequest(goods_id=99),
    ):
        assert "GOODS_NOT_FOUND" == (await failure(world.admin(nowhere)))[0]


async def test_items_are_fixed_once_a_box_is_open(world: World, shang: Shang) -> None:
    """Neither a new one nor a change, not even of a title; they can still be read."""
    item = await world.item(shang, stock=5)
    await world.open(shang.goods_id)
    rows = await world.dump()
    new = CreateGoodsItemRequest(
        goods_id=shang.goods_id, shang_id=shang.shang_id, title="Cup", stock=1
    )
    for request in (new, change(item, title="Cup")):
        assert ("ITEMS_FIXED", {}) == await failure(world.admin(request))
    assert rows == await world.dump()
    assert [item] == await items(world, shang.goods_id)


async def test_items_are_fixed_for_a_change_that_waited_for_the_opening(
    world: World, shang: Shang
) -> None:
    """It looks again once the box is there: a box never misses what its goods have."""
    item = await world.item(shang, stock=5)
    world.pools.hold = asyncio.Event()
    opening = asyncio.create_task(world.open(shang.goods_id))
    await world.pools.held.wait()
    changing = asyncio.create_task(failure(world.admin(change(item, stock=9))))
    await settled_or_waiting(world, changing)
    world.pools.hold.set()
    assert [1] == await opening
    assert ("ITEMS_FIXED", {}) == await changing
    assert [5] == [prize.units for prize in world.pools.pools[1].config.prizes]


async def test_box_holds_an_item_that_it_waited_for(world: World, shang: Shang) -> None:
    """An opening that comes while an item is being changed gets the item as changed."""
    item = await world.item(shang, stock=5)
    async with world.postgres.acquire() as other, other.transaction():
        await other.execute("SELECT FROM goods WHERE id = $1 FOR UPDATE", shang.goods_id)
        opening = asyncio.create_task(world.open(shang.goods_id))
        await settled_or_waiting(world, opening)
        await other.execute("UPDATE goods_items SET stock = 9 WHERE id = $1", item.goods_item_id)
    assert [1] == await opening
    assert [9] == [prize.units for prize in world.pools.pools[1].config.prizes]


async def test_changes_of_items_are_in_the_audit_log(world: World, shang: Shang) -> None:
    """Who did what, and how: money is text there."""
    item = await world.item(shang, price="9.9", stock=5)
    await update(world, item, price="12", stock=6)
    changed, created = (await world.admin(ListAuditLogRequest(page_size=2))).entries
    subject = f"item:{item.goods_item_id}"
    assert ("boss", "item.update", subject) == (changed.username, changed.action, changed.subject)
    assert ("boss", "item.create", subject) == (created.username, created.action, created.subject)
    assert {
        "price": {"from": "9.90", "to": "12.00"},
        "stock": {"from": 5, "to": 6},
    } == json.loads(changed.detail)
    assert {
        "goods_id": shang.goods_id,
        "title": "Mug",
        "img_url": "",
        "shang_id": shang.shang_id,
        "price": "9.90",
        "sc_money": "0.00",
        "stock": 5,
        "weight": None,
        "is_last_prize": False,
    } == json.loads(created.detail)
