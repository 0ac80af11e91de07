"""Statistics: what is recorded, and whether it agrees with the live store."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import (
    DeletePrizeRequest,
    GetStatisticsRequest,
    GetStatisticsResponse,
    PrizeStatistics,
)

from services.common.errors import UnavailableError
from tests.support.admin import World, failure, open_world


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


@pytest.fixture
async def prize_id(world: World) -> int:
    """A prize of 5 units in the first activity, whose pool is the first."""
    return (await world.prize((await world.activity()).activity_id)).prize_id


async def statistics(world: World, activity_id: int = 0) -> GetStatisticsResponse:
    answer: GetStatisticsResponse = await world.admin(GetStatisticsRequest(activity_id=activity_id))
    return answer


async def test_nothing_is_balanced(world: World) -> None:
    """Without activities there is nothing to ask the live store, and nothing is wrong."""
    assert GetStatisticsResponse(books_balance=True) == await statistics(world)


async def test_statistics_add_up(world: World, prize_id: int) -> None:
    """Counters, shares and totals come from what is recorded."""
    other = await world.activity(name="Autumn")
    world.pools.pools[1].draw(prize_id, 2)
    world.pools.pools[1].draw(0, 6)
    world.pools.pools[2].draw(0, 1)
    await world.record(1, prize_id, 2)
    await world.record(1, 0, 6)
    await world.record(2, 0, 1)
    answer = await statistics(world)
    assert (answer.draws, answer.wins, answer.unique_users) == (9, 2, 9)
    assert (answer.books_balance, answer.recorder_lag_ms) == (True, 0)
    newest, first = answer.activities
    assert (newest.activity_id, newest.name, newest.status) == (
        other.activity_id,
        "Autumn",
        "ongoing",
    )
    assert (first.draws, first.wins, first.unique_users) == (8, 2, 8)
    assert list(first.prizes) == [
        PrizeStatistics(
            prize_id=prize_id,
            name="Bear",
            total=5,
            won=2,
            remaining=3,
            configured_probability=0.1,
            observed_probability=0.25,
        )
    ]


async def test_statistics_of_one_activity_are_its_own(world: World, prize_id: int) -> None:
    """Totals and books are those of the activity asked for."""
    other = await world.activity()
    world.pools.pools[1].draw(prize_id, 1)
    world.pools.pools[1].won[prize_id] = 3  # two wins without a draw
    await world.record(1, prize_id, 1)
    answer = await statistics(world, other.activity_id)
    assert (answer.draws, len(answer.activities), answer.books_balance) == (0, 1, True)


async def test_statistics_keep_deleted_prizes(world: World, prize_id: int) -> None:
    """Its wins still count; it can no longer be won."""
    world.pools.pools[1].draw(prize_id, 2)
    await world.record(1, prize_id, 2)
    await world.admin(DeletePrizeRequest(prize_id=prize_id))
    answer = await statistics(world)
    prize = answer.activities[0].prizes[0]
    assert (prize.total, prize.won, prize.configured_probability) == (2, 2, 0)
    assert answer.books_balance


@pytest.mark.parametrize("activity_id", [-1, 99])
async def test_statistics_of_an_unknown_activity_are_not_found(
    world: World, activity_id: int
) -> None:
    """Any id without an activity has the same answer."""
    request = GetStatisticsRequest(activity_id=activity_id)
    assert ("ACTIVITY_NOT_FOUND", {}) == await failure(world.admin(request))


async def test_draws_in_flight_are_in_balance(world: World, prize_id: int) -> None:
    """What the recorder has not reached is neither lost nor invented."""
    world.pools.pools[1].draw(prize_id, 2)
    assert (await statistics(world)).books_balance


async def test_lag_is_the_age_of_the_oldest_unrecorded_draw(world: World, prize_id: int) -> None:
    """Of all pools the one that waits longest counts; one with all recorded does not."""
    assert prize_id
    for seconds in (60, 300, None):
        activity = await world.activity()
        live = world.pools.pools[activity.pool_id]
        live.draw()
        if seconds is not None:
            live.oldest_unrecorded_ms = int(time.time() - seconds) * 1000
    assert 300_000 <= (await statistics(world)).recorder_lag_ms < 360_000


async def test_lag_is_zero_when_the_store_s_clock_is_ahead(world: World, prize_id: int) -> None:
    """Two clocks never make an age negative."""
    assert prize_id
    world.pools.pools[1].oldest_unrecorded_ms = int(time.time() + 300) * 1000
    assert 0 == (await statistics(world)).recorder_lag_ms


async def test_books_do_not_balance_when_a_unit_is_missing(world: World, prize_id: int) -> None:
    """A win that no draw explains is reported, for the activity and in all."""
    live = world.pools.pools[1]
    live.draw(prize_id, 1)
    await world.record(1, prize_id, 1)
    live.won[prize_id] += 1
    answer = await statistics(world)
    assert (answer.books_balance, answer.activities[0].books_balance) == (False, False)


async def test_books_do_not_balance_when_postgres_differs(world: World, prize_id: int) -> None:
    """Units changed behind the live store's back are reported."""
    await world.postgres.execute("UPDATE prizes SET total_count = 6 WHERE id = $1", prize_id)
    assert not (await statistics(world)).books_balance


async def test_books_do_not_balance_when_the_pool_is_not_loaded(
    world: World, prize_id: int
) -> None:
    """What the live store has forgotten cannot be in balance."""
    assert prize_id
    del world.pools.pools[1]
    assert not (await statistics(world)).books_balance


async def test_books_balance_while_draws_and_recording_go_on(world: World, prize_id: int) -> None:
    """A moving system never looks unbalanced."""
    await world.postgres.execute("UPDATE prizes SET total_count = 5000 WHERE id = $1", prize_id)
    live = world.pools.pools[1]
    live.units[prize_id] = 5000
    stop = asyncio.Event()

    async def draw() -> None:
        while not stop.is_set():
            live.draw(prize_id, 3)
            await asyncio.sleep(0)
            await world.record(1, prize_id, 3)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(draw())
        verdicts = [(await statistics(world)).books_balance for _ in range(20)]
        stop.set()
    assert verdicts == [True] * 20
    assert live.last_seq > 20


async def test_statistics_need_the_draw_service(world: World, prize_id: int) -> None:
    """Without the live store there is no verdict."""
    assert prize_id
    world.pools.refusal = UnavailableError()
    reason, _ = await failure(world.admin(GetStatisticsRequest()))
    assert reason == "UNAVAILABLE"
