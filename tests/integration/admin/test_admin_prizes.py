"""Prizes over gRPC: a real Postgres, live pools in memory."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import (
    CreatePrizeRequest,
    DeletePrizeRequest,
    GetStatisticsRequest,
    ListPrizesRequest,
    Prize,
    UpdateActivityRequest,
    UpdatePrizeRequest,
)
from kuji.draw.v1 import pool_pb2

from tests.support.admin import World, failure, open_world
from tests.support.live_pools import LivePool


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


@pytest.fixture
async def activity_id(world: World) -> int:
    """An ongoing activity, whose pool is the first."""
    return (await world.activity()).activity_id


def live(world: World) -> LivePool:
    return world.pools.pools[1]


async def update(world: World, prize: Prize, **fields: Any) -> Prize:
    response = await world.admin(UpdatePrizeRequest(prize_id=prize.prize_id, **fields))
    changed: Prize = response.prize
    return changed


async def delete(world: World, prize: Prize) -> Prize:
    response = await world.admin(DeletePrizeRequest(prize_id=prize.prize_id))
    deleted: Prize = response.prize
    return deleted


async def test_create_can_be_won_at_once(world: World, activity_id: int) -> None:
    """A new prize is in the live store before the answer leaves."""
    prize = await world.prize(activity_id, image_url="b.png", max_wins_per_user=2)
    assert live(world).config.prizes == [
        pool_pb2.PoolPrize(
            prize_id=prize.prize_id,
            name="Bear",
            image_url="b.png",
            units=5,
            weight=100_000_000,
            enabled=True,
            wins_per_user=2,
        )
    ]
    assert (prize.probability, prize.remaining_count, prize.is_enabled) == (0.1, 5, True)


UNFIT_NEW: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "a\x1bb"}, "name"),
    ({"description": "\0"}, "description"),
    ({"image_url": "a" * 2001}, "image_url"),
    ({"total_count": -1}, "total_count"),
    ({"total_count": 2**31 - 1}, "total_count"),
    ({"probability": math.nan}, "probability"),
    ({"probability": math.inf}, "probability"),
    ({"probability": -0.1}, "probability"),
    ({"probability": 1.1}, "probability"),
    ({"probability": 1e-10}, "probability"),
    ({"max_wins_per_user": -1}, "max_wins_per_user"),
]


async def test_create_refuses_bad_input(world: World, activity_id: int) -> None:
    """Each unfit field is named, and nothing is stored or published."""
    rows = await world.dump()
    for fields, field in UNFIT_NEW:
        given = {"name": "Bear", "total_count": 1, "probability": 0.1, **fields}
        request = CreatePrizeRequest(activity_id=activity_id, **given)
        assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request)), fields
    assert rows == await world.dump()


async def test_create_refuses_a_sum_above_one(world: World, activity_id: int) -> None:
    """Certainty is the limit, to one part in 10^9."""
    await world.prize(activity_id, probability=0.1)
    request = CreatePrizeRequest(activity_id=activity_id, name="Cat", probability=0.900000001)
    assert ("INVALID_ARGUMENT", {"field": "probability"}) == await failure(world.admin(request))
    assert (await world.prize(activity_id, probability=0.9)).probability == 0.9


async def test_create_in_an_unknown_activity_is_not_found(world: World) -> None:
    """A prize needs an activity."""
    request = CreatePrizeRequest(activity_id=99, name="Bear")
    assert ("ACTIVITY_NOT_FOUND", {}) == await failure(world.admin(request))


async def test_create_keeps_the_sum_when_callers_race(world: World, activity_id: int) -> None:
    """Twenty prizes of 0.3 at once: three fit, whatever the order."""
    requests = [
        CreatePrizeRequest(activity_id=activity_id, name="Bear", total_count=1, probability=0.3)
        for _ in range(20)
    ]
    answers = await asyncio.gather(*map(world.admin, requests), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 3
    assert sum(prize.weight for prize in live(world).config.prizes) == 900_000_000


async def test_update_changes_only_what_is_given(world: World, activity_id: int) -> None:
    """A partial change leaves the other fields, and is published."""
    before = await world.prize(activity_id, description="soft", image_url="b.png")
    after = await update(world, before, total_count=7, description="")
    expected = Prize()
    expected.CopyFrom(before)
    expected.total_count = expected.remaining_count = 7
    expected.description = ""
    expected.updated_at.CopyFrom(after.updated_at)
    expected.etag = after.etag
    assert expected == after
    assert live(world).units == {before.prize_id: 7}


async def test_update_refuses_a_sum_above_one(world: World, activity_id: int) -> None:
    """Also enabling a prize may not make the sum exceed 1."""
    await world.prize(activity_id, probability=0.7)
    other = await world.prize(activity_id, probability=0.3)
    asleep = await world.prize(activity_id, probability=0.1, is_enabled=False)
    rows = await world.dump()
    for request in (
        UpdatePrizeRequest(prize_id=other.prize_id, probability=0.300000001),
        UpdatePrizeRequest(prize_id=asleep.prize_id, is_enabled=True),
    ):
        assert ("INVALID_ARGUMENT", {"field": "probability"}) == await failure(world.admin(request))
    assert rows == await world.dump()


async def test_update_moves_a_share_from_one_to_another(world: World, activity_id: int) -> None:
    """A share that one prize gives up is free for the next."""
    one = await world.prize(activity_id, probability=1)
    two = await world.prize(activity_id, probability=0.4, is_enabled=False)
    await update(world, one, probability=0.6)
    assert (await update(world, two, is_enabled=True)).is_enabled


async def test_update_refuses_units_below_what_is_won_live(world: World, activity_id: int) -> None:
    """The live store decides, also over draws that are not recorded; nothing changes."""
    prize = await world.prize(activity_id)
    live(world).draw(prize.prize_id, 3)
    rows = await world.dump()
    request = UpdatePrizeRequest(prize_id=prize.prize_id, total_count=2)
    expected = ("UNITS_BELOW_WON", {"prize_id": str(prize.prize_id), "won": "3"})
    assert expected == await failure(world.admin(request))
    assert rows == await world.dump()
    assert (await update(world, prize, total_count=3)).total_count == 3


async def test_update_refuses_units_below_what_is_recorded(world: World, activity_id: int) -> None:
    """What Postgres knows to be won needs no question."""
    prize = await world.prize(activity_id)
    live(world).draw(prize.prize_id, 3)
    await world.record(1, prize.prize_id, 3)
    published = world.pools.publications
    request = UpdatePrizeRequest(prize_id=prize.prize_id, total_count=2)
    expected = ("UNITS_BELOW_WON", {"prize_id": str(prize.prize_id), "won": "3"})
    assert expected == await failure(world.admin(request))
    assert published == world.pools.publications


async def test_delete_withdraws_what_is_left(world: World, activity_id: int) -> None:
    """What is won stays won, also where it is not recorded yet; the rest is gone."""
    prize = await world.prize(activity_id)
    live(world).draw(prize.prize_id, 2)
    await world.record(1, prize.prize_id, 1)
    deleted = await delete(world, prize)
    assert (deleted.is_deleted, deleted.is_enabled) == (True, False)
    assert (deleted.total_count, deleted.remaining_count) == (2, 1)
    assert live(world).stocks() == [
        pool_pb2.PrizeStock(prize_id=prize.prize_id, units=2, remaining=0)
    ]


async def test_delete_twice_is_one_deletion(world: World, activity_id: int) -> None:
    """The second answer is the first, and nothing is published or logged for it."""
    prize = await world.prize(activity_id)
    first = await delete(world, prize)
    rows = await world.dump()
    assert first == await delete(world, prize)
    assert rows == await world.dump()


async def test_deleted_prize_is_retired_and_then_left_out(world: World, activity_id: int) -> None:
    """G6: its units are what is won; later configurations, and the books, do without it."""
    prize = await world.prize(activity_id, probability=1)
    live(world).draw(prize.prize_id, 2)
    (pool_id,) = world.pools.pools
    await world.record(pool_id, prize.prize_id, 2)
    await delete(world, prize)
    assert [(prize.prize_id, True)] == [(p.prize_id, p.retired) for p in live(world).config.prizes]
    other = await world.prize(activity_id, probability=1)
    await world.admin(UpdateActivityRequest(activity_id=activity_id, cooldown_seconds=5))
    assert [other.prize_id] == [p.prize_id for p in live(world).config.prizes]
    units = "SELECT total_count FROM prizes WHERE id = $1"
    assert 2 == await world.postgres.fetchval(units, prize.prize_id)
    assert (await world.admin(GetStatisticsRequest())).books_balance


async def test_deleted_prize_cannot_be_changed(world: World, activity_id: int) -> None:
    """For changes and lists it is gone."""
    prize = await world.prize(activity_id)
    await delete(world, prize)
    request = UpdatePrizeRequest(prize_id=prize.prize_id, name="Back")
    assert ("NOT_FOUND", {}) == await failure(world.admin(request))
    assert not (await world.admin(ListPrizesRequest(activity_id=activity_id))).prizes


async def test_unknown_prize_is_not_found(world: World) -> None:
    """Any id without a prize has the same answer."""
    for prize_id in (0, -1, 2**63 - 1):
        for request in (
            UpdatePrizeRequest(prize_id=prize_id),
            DeletePrizeRequest(prize_id=prize_id),
        ):
            assert ("NOT_FOUND", {}) == await failure(world.admin(request)), prize_id


async def test_update_refuses_bad_input(world: World, activity_id: int) -> None:
    """Each unfit field is named, and nothing changes."""
    prize = await world.prize(activity_id)
    rows = await world.dump()
    for fields, field in UNFIT_NEW:
        request = UpdatePrizeRequest(prize_id=prize.prize_id, **fields)
        assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request)), fields
    assert rows == await world.dump()


async def test_list_is_in_order_of_creation(world: World, activity_id: int) -> None:
    """Of one activity or of all, in pages that join up."""
    other = (await world.activity()).activity_id
    owners = [activity_id, other, activity_id, activity_id]
    ids = [(await world.prize(owner)).prize_id for owner in owners]
    pages = [
        await world.admin(ListPrizesRequest(activity_id=activity_id, page=n, page_size=2))
        for n in (1, 2)
    ]
    shown = [([p.prize_id for p in page.prizes], page.has_more) for page in pages]
    assert shown == [([ids[0], ids[2]], True), ([ids[3]], False)]
    everything = await world.admin(ListPrizesRequest())
    assert [prize.prize_id for prize in everything.prizes] == ids


async def test_list_of_an_unknown_activity_is_not_found(world: World) -> None:
    """A wrong id is told apart from an activity without prizes."""
    assert ("ACTIVITY_NOT_FOUND", {}) == await failure(
        world.admin(ListPrizesRequest(activity_id=9))
    )
