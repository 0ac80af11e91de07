"""Item cards over gRPC: a real Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import ListAuditLogRequest
from kuji.admin.v1.goods_pb2 import (
    IssueItemCardsRequest,
    ItemCard,
    ListItemCardsRequest,
    ListItemCardsResponse,
)
from kuji.draw.v1.pool_pb2 import PoolConfig

from services.common.orders import OrderType, card_order_num
from tests.support.admin import World, failure, open_world
from tests.support.blindbox import Box, Shelf


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


async def issue(world: World, user_id: int, goods_id: int = 0, count: int = 0) -> list[int]:
    request = IssueItemCardsRequest(user_id=user_id, goods_id=goods_id, count=count)
    return list((await world.admin(request)).item_card_ids)


async def shown(world: World, **fields: int) -> list[ItemCard]:
    answer: ListItemCardsResponse = await world.admin(ListItemCardsRequest(**fields))
    return list(answer.item_cards)


async def test_card_draws_from_any_goods_unless_told_otherwise(world: World) -> None:
    """One card, unused, with its owner; no goods is null."""
    user_id, goods = await world.user("player"), await world.goods()
    (anywhere,) = await issue(world, user_id)
    (bound,) = await issue(world, user_id, goods.goods_id)
    newest, oldest = await shown(world)
    assert (bound, user_id, goods.goods_id, "unused") == (
        newest.item_card_id,
        newest.user_id,
        newest.goods_id,
        newest.status,
    )
    assert (anywhere, False) == (oldest.item_card_id, oldest.HasField("goods_id"))
    assert oldest.created_at.ToNanoseconds() < newest.created_at.ToNanoseconds()


async def test_cards_are_given_in_numbers(world: World) -> None:
    """Up to a thousand in a call, under ids of their own."""
    user_id = await world.user("player")
    card_ids = await issue(world, user_id, count=1000)
    assert 1000 == len(set(card_ids))
    assert sorted(card_ids) == card_ids
    stored = await world.postgres.fetch("SELECT id FROM item_cards WHERE created_by = 1")
    assert card_ids == [row["id"] for row in stored]


async def test_racing_issues_share_no_card(world: World) -> None:
    """Every call has its own."""
    users = [await world.user(f"player-{number}") for number in range(8)]
    answers = await asyncio.gather(*(issue(world, user_id, count=20) for user_id in users))
    assert 160 == len({card_id for card_ids in answers for card_id in card_ids})


async def test_card_shows_what_became_of_it(world: World) -> None:
    """Its order says: reserved, used once drawn, unused again once released."""
    user_id, goods = await world.user("player"), await world.boxed()
    fresh, released, reserved, drawn = await issue(world, user_id, count=4)
    shelf = Shelf(world.postgres, goods.goods_id, goods.type, [], [], [])
    box = Box(goods.goods_id, 1, 1, 0, [], PoolConfig())
    for card_id, status, place in (
        (released, "released", None),
        (reserved, "reserved", None),
        (drawn, "drawn", 1),
    ):
        await shelf.order(
            box,
            card_order_num(card_id),
            user_id,
            order_type=OrderType.ITEM_CARD,
            item_card_id=card_id,
            status=status,
            first_seq=place,
            places=place,
        )
    assert [
        (drawn, "used"),
        (reserved, "reserved"),
        (released, "unused"),
        (fresh, "unused"),
    ] == [(card.item_card_id, card.status) for card in await shown(world)]


async def test_list_pages_newest_first_and_by_user(world: World) -> None:
    """has_more says whether there are older ones; a user without cards has none."""
    one, other = await world.user("one"), await world.user("other")
    a, b, c = await issue(world, one, count=3)
    (d,) = await issue(world, other)
    first = await world.admin(ListItemCardsRequest(page_size=3))
    second = await world.admin(ListItemCardsRequest(page=2, page_size=3))
    assert ([d, c, b], True) == ([card.item_card_id for card in first.item_cards], first.has_more)
    assert ([a], False) == ([card.item_card_id for card in second.item_cards], second.has_more)
    assert [c, b, a] == [card.item_card_id for card in await shown(world, user_id=one)]
    assert [] == await shown(world, user_id=99)


@pytest.mark.parametrize("count", [-1, 1001, 2**31 - 1])
async def test_issue_refuses_counts_out_of_bounds(world: World, count: int) -> None:
    """One to a thousand."""
    user_id = await world.user("player")
    request = IssueItemCardsRequest(user_id=user_id, count=count)
    assert ("INVALID_ARGUMENT", {"field": "count"}) == await failure(world.admin(request))
    assert [] == await shown(world)


@pytest.mark.parametrize(
    ("user_id", "reason"),
    [(0, "INVALID_ARGUMENT"), (-1, "INVALID_ARGUMENT"), (99, "NOT_FOUND")],
)
async def test_issue_needs_a_user(world: World, user_id: int, reason: str) -> None:
    """Nobody gets no cards."""
    assert reason == (await failure(world.admin(IssueItemCardsRequest(user_id=user_id))))[0]
    assert [] == await shown(world)


@pytest.mark.parametrize("goods_id", [-1, 99, 2**63 - 1])
async def test_issue_refuses_goods_that_are_not_there(world: World, goods_id: int) -> None:
    """A card is for goods that exist, or for any."""
    request = IssueItemCardsRequest(user_id=await world.user("player"), goods_id=goods_id)
    refusal = ("GOODS_NOT_FOUND", {"field": "goods_id"})
    assert refusal == await failure(world.admin(request))
    assert [] == await shown(world)


@pytest.mark.parametrize("field", ["page", "page_size"])
async def test_list_refuses_pages_out_of_bounds(world: World, field: str) -> None:
    """Pages count from 1 and have 1 to 100 rows."""
    assert ("INVALID_ARGUMENT", {"field": field}) == await failure(
        world.admin(ListItemCardsRequest(**{field: 0}))
    )


async def test_issue_is_in_the_audit_log(world: World) -> None:
    """Which cards, for whom, and what they draw from."""
    user_id, goods = await world.user("player"), await world.goods()
    card_ids = await issue(world, user_id, goods.goods_id, 2)
    entry = (await world.admin(ListAuditLogRequest())).entries[0]
    assert ("boss", "cards.issue", f"user:{user_id}") == (
        entry.username,
        entry.action,
        entry.subject,
    )
    detail = {"goods_id": goods.goods_id, "item_card_ids": card_ids}
    assert detail == json.loads(entry.detail)
