"""Two editors: the second one is told, and overwrites nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import asyncpg
import grpc
import pytest
from kuji.admin.v1 import admin_pb2, goods_pb2

from tests.support.admin import World, failure, open_world

# What a gRPC client takes of trailers unless told otherwise, less what else there is.
_TRAILER_BYTES = 8192 * 3 // 4 - 1000


class Kind(NamedTuple):
    """Something to edit: how it is made, and the request for an edit of its name."""

    make: Callable[[World], Awaitable[Any]]
    edit: Callable[..., Any]
    name: str


async def _activity(world: World) -> Any:
    return await world.activity(description="\x01" * 2000)


async def _prize(world: World) -> Any:
    activity = await world.activity()
    return await world.prize(
        activity.activity_id, description="\x01" * 2000, image_url="\x01" * 2000
    )


async def _goods(world: World) -> Any:
    return await world.goods(image_url="\x01" * 2000)


async def _item(world: World) -> Any:
    goods = await world.goods()
    return await world.item(await world.shang(goods.goods_id), stock=3, img_url="\x01" * 2000)


KINDS = {
    "activity": Kind(
        _activity,
        lambda of, name, **more: admin_pb2.UpdateActivityRequest(
            activity_id=of.activity_id, name=name, **more
        ),
        "name",
    ),
    "prize": Kind(
        _prize,
        lambda of, name, **more: admin_pb2.UpdatePrizeRequest(
            prize_id=of.prize_id, name=name, **more
        ),
        "name",
    ),
    "goods": Kind(
        _goods,
        lambda of, name, **more: goods_pb2.UpdateGoodsRequest(
            goods_id=of.goods_id, title=name, **more
        ),
        "title",
    ),
    "item": Kind(
        _item,
        lambda of, name, **more: goods_pb2.UpdateGoodsItemRequest(
            goods_id=of.goods_id, goods_item_id=of.goods_item_id, title=name, **more
        ),
        "title",
    ),
}


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


def _edited(answer: Any) -> Any:
    (_, value), *_ = answer.ListFields()
    return value


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
async def test_second_editor_is_told_both_versions(world: World, kind: Kind) -> None:
    """CONFLICT, nothing is changed, and what is told fits into a trailer whatever was typed."""
    made = await kind.make(world)
    long_name = "赏" * 100
    first = _edited(await world.admin(kind.edit(made, long_name, etag=made.etag)))
    assert made.etag != first.etag
    rows = await world.dump()
    reason, metadata = await failure(world.admin(kind.edit(made, "Second", etag=made.etag)))
    assert ("CONFLICT", first.etag, made.etag) == (
        reason,
        metadata["etag"],
        metadata["your_etag"],
    )
    current, yours = json.loads(metadata["current"]), json.loads(metadata["yours"])
    assert (long_name[:79] + "…", "Second") == (current[kind.name], yours[kind.name])
    assert sum(len(f"{name}{text}".encode()) for name, text in metadata.items()) < _TRAILER_BYTES
    assert rows == await world.dump()
    again = _edited(await world.admin(kind.edit(made, "Second", etag=first.etag)))
    assert "Second" == getattr(again, kind.name)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
async def test_one_of_two_at_once_is_told(world: World, kind: Kind) -> None:
    """However close they come, one etag is good for one edit."""
    made = await kind.make(world)
    edits = [kind.edit(made, name, etag=made.etag) for name in ("one", "two", "three")]
    answers = await asyncio.gather(*map(world.admin, edits), return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert [grpc.StatusCode.ABORTED] * 2 == [error.code() for error in failed]


async def test_edit_without_an_etag_holds_whatever_it_meets(world: World) -> None:
    """As ever; and what is no edit leaves the etag: a win, or a repetition of what holds."""
    prize = await KINDS["prize"].make(world)
    await world.record(1, prize.prize_id)
    same = _edited(await world.admin(KINDS["prize"].edit(prize, prize.name, etag=prize.etag)))
    assert prize.etag == same.etag
    for name in ("one", "two"):
        assert name == _edited(await world.admin(KINDS["prize"].edit(prize, name))).name


async def test_deletion_and_boxes_take_an_etag(world: World) -> None:
    """Nobody deletes what was edited meanwhile, nor opens boxes beside another one."""
    prize = await KINDS["prize"].make(world)
    edited = _edited(await world.admin(KINDS["prize"].edit(prize, "one")))
    stale = admin_pb2.DeletePrizeRequest(prize_id=prize.prize_id, etag=prize.etag)
    assert "CONFLICT" == (await failure(world.admin(stale)))[0]
    fresh = admin_pb2.DeletePrizeRequest(prize_id=prize.prize_id, etag=edited.etag)
    for _ in range(2):  # idempotent
        assert (await world.admin(fresh)).prize.is_deleted
    await _item(world)
    (goods,) = (await world.admin(goods_pb2.ListGoodsRequest())).goods
    opening = goods_pb2.OpenBoxesRequest(goods_id=goods.goods_id, count=1, etag=goods.etag)
    assert [1] == list((await world.admin(opening)).nums)
    assert "CONFLICT" == (await failure(world.admin(opening)))[0]
