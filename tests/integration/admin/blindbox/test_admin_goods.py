"""Goods and their levels over gRPC: a real Postgres, live pools in memory."""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import ListAuditLogRequest
from kuji.admin.v1.goods_pb2 import (
    CreateGoodsRequest,
    CreateShangRequest,
    Goods,
    IssueItemCardsRequest,
    ListGoodsRequest,
    ListShangsRequest,
    OpenBoxesRequest,
    Shang,
    UpdateGoodsRequest,
)

from tests.support.admin import Caller, World, failure, open_world


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


async def update(world: World, goods_id: int, **fields: Any) -> Goods:
    response = await world.admin(UpdateGoodsRequest(goods_id=goods_id, **fields))
    changed: Goods = response.goods
    return changed


async def shown(world: World, **page: int) -> list[str]:
    """The titles of a page."""
    answer = await world.admin(ListGoodsRequest(**page))
    return [goods.title for goods in answer.goods]


async def last_audit(world: World) -> tuple[str, str, str, Any]:
    """Who, what, to what, and how."""
    entry = (await world.admin(ListAuditLogRequest(page_size=1))).entries[0]
    return entry.username, entry.action, entry.subject, json.loads(entry.detail)


async def test_create_keeps_what_was_given(world: World) -> None:
    """Every field comes back as stored, money with two decimals; nothing is opened or published."""
    goods = await world.goods(
        title=" Winter 赏 ",
        type="infinite",
        price="1234.5",
        image_url="https://img.example/w.png",
        on_shelf=False,
        protection_seconds=30,
        confirm="recorded",
    )
    assert (
        Goods(
            goods_id=goods.goods_id,
            title="Winter 赏",
            type="infinite",
            price="1234.50",
            image_url="https://img.example/w.png",
            on_shelf=False,
            protection_seconds=30,
            confirm="recorded",
            created_at=goods.created_at,
            updated_at=goods.updated_at,
            etag=goods.etag,
        )
        == goods
    )
    assert [goods] == list((await world.admin(ListGoodsRequest())).goods)
    assert {} == world.pools.pools


async def test_create_takes_a_title_and_a_type(world: World) -> None:
    """The rest has defaults: free, on the shelf, without protection."""
    answer = await world.admin(CreateGoodsRequest(title="Spring", type="ichiban"))
    goods = answer.goods
    assert ("0.00", "", True, 0, False, 0) == (
        goods.price,
        goods.image_url,
        goods.on_shelf,
        goods.protection_seconds,
        goods.is_ended,
        goods.boxes,
    )


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"title": ""}, "title"),
    ({"title": "a" * 101}, "title"),
    ({"title": "a\0b"}, "title"),
    ({"price": "-1"}, "price"),
    ({"price": "9.999"}, "price"),
    ({"price": "100000000"}, "price"),
    ({"price": "1e3"}, "price"),
    ({"image_url": "a" * 2001}, "image_url"),
    ({"image_url": "\0"}, "image_url"),
    ({"protection_seconds": -1}, "protection_seconds"),
    ({"protection_seconds": 86_401}, "protection_seconds"),
    ({"confirm": "Store"}, "confirm"),
]


async def test_create_refuses_bad_input(world: World) -> None:
    """Each unfit field is named, and nothing is stored."""
    for fields, field in [*UNFIT, ({"type": ""}, "type"), ({"type": "Ichiban"}, "type")]:
        request = CreateGoodsRequest(**{"title": "Spring", "type": "ichiban", **fields})
        assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request)), fields
    assert not any((await world.dump()).values())


async def test_update_refuses_bad_input(world: World) -> None:
    """Each unfit field is named, and nothing changes."""
    goods = await world.goods()
    rows = await world.dump()
    for fields, field in [*UNFIT, ({"price": ""}, "price"), ({"confirm": ""}, "confirm")]:
        request = UpdateGoodsRequest(goods_id=goods.goods_id, **fields)
        assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request)), fields
    assert rows == await world.dump()


async def test_update_changes_only_what_is_given(world: World) -> None:
    """The rest stays; zero, false and empty count as given."""
    goods = await world.goods(image_url="https://img.example/s.png", protection_seconds=9)
    changed = await update(
        world, goods.goods_id, title="Summer", image_url="", on_shelf=False, protection_seconds=0
    )
    assert ("Summer", "9.90", "", False, 0, False) == (
        changed.title,
        changed.price,
        changed.image_url,
        changed.on_shelf,
        changed.protection_seconds,
        changed.is_ended,
    )
    assert goods.created_at == changed.created_at
    assert goods.updated_at.ToNanoseconds() < changed.updated_at.ToNanoseconds()
    assert [changed] == list((await world.admin(ListGoodsRequest())).goods)


async def test_update_to_the_same_is_no_change(world: World) -> None:
    """Nothing is stored or logged; 9.9 and 9.90 are one price."""
    goods = await world.goods(price="9.90")
    rows = await world.dump()
    assert goods == await update(world, goods.goods_id, price="9.9", on_shelf=True, is_ended=False)
    assert rows == await world.dump()


async def test_end_is_final(world: World) -> None:
    """What has ended cannot be taken back; its title may still be mended."""
    goods = await world.goods()
    assert (await update(world, goods.goods_id, is_ended=True)).is_ended
    again = UpdateGoodsRequest(goods_id=goods.goods_id, is_ended=False)
    assert ("INVALID_ARGUMENT", {"field": "is_ended"}) == await failure(world.admin(again))
    changed = await update(world, goods.goods_id, is_ended=True, title="Gone")
    assert (True, "Gone") == (changed.is_ended, changed.title)


async def test_list_pages_newest_first(world: World) -> None:
    """has_more says whether there are older ones."""
    for title in ("a", "b", "c"):
        await world.goods(title=title)
    first = await world.admin(ListGoodsRequest(page_size=2))
    second = await world.admin(ListGoodsRequest(page=2, page_size=2))
    assert (["c", "b"], True, 1, 2) == (
        [goods.title for goods in first.goods],
        first.has_more,
        first.page,
        first.page_size,
    )
    assert (["a"], False) == ([goods.title for goods in second.goods], second.has_more)
    assert [] == await shown(world, page=3, page_size=2)


@pytest.mark.parametrize("field", ["page", "page_size"])
async def test_list_refuses_pages_out_of_bounds(world: World, field: str) -> None:
    """Pages count from 1 and have 1 to 100 rows."""
    assert ("INVALID_ARGUMENT", {"field": field}) == await failure(
        world.admin(ListGoodsRequest(**{field: 0}))
    )


async def test_shangs_come_by_sort(world: World) -> None:
    """Lower comes first; among equals, the older."""
    goods_id = (await world.goods()).goods_id
    last = await world.shang(goods_id, title="Last", color="#C0ffee", sort=9)
    first = await world.shang(goods_id, title="A", sort=1)
    second = await world.shang(goods_id, title="B", sort=1)
    await world.shang((await world.goods()).goods_id)
    shangs = list((await world.admin(ListShangsRequest(goods_id=goods_id))).shangs)
    assert [first, second, last] == shangs
    assert (
        Shang(shang_id=last.shang_id, goods_id=goods_id, title="Last", color="#C0ffee", sort=9)
        == last
    )
    assert "#000000" == first.color


async def test_shang_refuses_bad_input(world: World) -> None:
    """Each unfit field is named, and nothing is stored."""
    goods_id = (await world.goods()).goods_id
    rows = await world.dump()
    unfit: list[tuple[dict[str, Any], str]] = [
        ({"title": " "}, "title"),
        ({"color": "red"}, "color"),
        ({"color": "#12345"}, "color"),
        ({"sort": -1}, "sort"),
        ({"sort": 1_000_001}, "sort"),
    ]
    for fields, field in unfit:
        request = CreateShangRequest(**{"goods_id": goods_id, "title": "A", **fields})
        assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request)), fields
    assert rows == await world.dump()


async def test_shangs_end_at_256(world: World) -> None:
    """A list of levels stays one that fits an answer."""
    goods_id = (await world.goods()).goods_id
    await world.postgres.execute(
        "INSERT INTO shangs (goods_id, title) SELECT $1, n FROM generate_series(1, 255) AS n",
        goods_id,
    )
    await world.shang(goods_id)
    request = CreateShangRequest(goods_id=goods_id, title="One more")
    assert ("INVALID_ARGUMENT", {"field": "goods_id"}) == await failure(world.admin(request))


@pytest.mark.parametrize("goods_id", [0, -1, 7, 2**63 - 1])
async def test_unknown_goods_are_not_found(world: World, goods_id: int) -> None:
    """Whatever is asked of them."""
    user_id = await world.user("player")
    rows = await world.dump()
    requests = [
        UpdateGoodsRequest(goods_id=goods_id, title="Mine"),
        CreateShangRequest(goods_id=goods_id, title="A"),
        ListShangsRequest(goods_id=goods_id),
        OpenBoxesRequest(goods_id=goods_id),
        *([IssueItemCardsRequest(user_id=user_id, goods_id=goods_id)] if goods_id else []),
    ]
    for request in requests:
        reason, metadata = await failure(world.admin(request))
        assert ("GOODS_NOT_FOUND", {"field": "goods_id"}) == (reason, metadata), request
    assert rows == await world.dump()


async def test_changes_of_goods_are_in_the_audit_log(world: World) -> None:
    """Who did what, and how: money is text there."""
    goods = await world.goods(price="9.9")
    subject = f"goods:{goods.goods_id}"
    created = {
        "type": "ichiban",
        "title": "Spring box",
        "price": "9.90",
        "image_url": "",
        "on_shelf": True,
        "protection_seconds": 0,
        "is_ended": False,
        "confirm": "store",
    }
    assert ("boss", "goods.create", subject, created) == await last_audit(world)
    await update(world, goods.goods_id, price="12", on_shelf=False)
    changed = {"price": {"from": "9.90", "to": "12.00"}, "on_shelf": {"from": True, "to": False}}
    assert ("boss", "goods.update", subject, changed) == await last_audit(world)
    shang = await world.shang(goods.goods_id)
    level = {"goods_id": goods.goods_id, "title": "A", "color": "#000000", "sort": 0}
    assert ("boss", "shang.create", f"shang:{shang.shang_id}", level) == await last_audit(world)


@pytest.mark.parametrize(
    ("role", "reason"),
    [(None, "UNAUTHENTICATED"), ("user", "PERMISSION_DENIED"), ("service", "PERMISSION_DENIED")],
)
async def test_only_the_admin_role_may(world: World, role: str | None, reason: str) -> None:
    """Nobody else reads or writes here."""
    token = None if role is None else world.auth.token(2, "mallory", role)
    caller = Caller(world.channel, token)
    for request in (
        CreateGoodsRequest(title="Mine", type="ichiban"),
        ListGoodsRequest(),
        IssueItemCardsRequest(user_id=2),
    ):
        assert reason == (await failure(caller(request)))[0]
    assert not any((await world.dump()).values())
