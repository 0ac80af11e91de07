"""Statistics: what is recorded, and whether it agrees with the live store."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import (
    DeletePrizeRequest,
    GetStatisticsRequest,
    GetStatisticsResponse,
    OddsCheck,
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


async def version(
    world: World, number: int, after_seq: int, prize_id: int, units: int, left: int, **terms: object
) -> None:
    """A configuration of the first pool, as the recorder leaves it: one prize, and what is left."""
    config = {
        "mode": "POOL_MODE_ODDS",
        "prizes": [{"prize_id": str(prize_id), "units": str(units), "enabled": True, **terms}],
    }
    await world.postgres.execute(
        "INSERT INTO pool_versions"
        " (pool_id, version, after_seq, config, units, changed_at, link)"
        " VALUES (1, $1, $2, $3, $4, now(), '')",
        number,
        after_seq,
        json.dumps(config),
        json.dumps([[prize_id, units, left]]),
    )


async def win(world: World, prize_id: int, *seqs: int) -> None:
    """Wins of the first pool's prize at *seqs*, as the recorder leaves them."""
    for seq in seqs:
        await world.postgres.execute(
            "INSERT INTO winners (win_no, pool_id, pool_win_no, seq, activity_id, user_id,"
            " prize_id, prize_name, prize_code, won_at)"
            " VALUES ($1, 1, $1, $1, 1, 1, $2, 'Bear', $3, now())",
            seq,
            prize_id,
            f"1-{seq}",
        )
    await world.postgres.execute(
        "UPDATE prizes SET won_count = won_count + $2 WHERE id = $1", prize_id, len(seqs)
    )


async def reach(world: World, seq: int) -> None:
    """The first pool is recorded up to *seq*."""
    await world.postgres.execute("UPDATE pools SET recorded_seq = $1, draws = $1", seq)


async def odds_check(world: World) -> OddsCheck:
    """The one prize's."""
    (activity,) = (await statistics(world)).activities
    return activity.prizes[0].odds_check


async def test_wins_are_held_against_the_odds_of_their_draws(world: World, prize_id: int) -> None:
    """
    Each draw counts with the odds that it had: not while disabled, sold out, or where there was no
    draw; read once or bit by bit.
    """
    await version(world, 1, 0, prize_id, 3, 3, weight="100000000")
    await reach(world, 50)
    check = await odds_check(world)
    assert (50, "5.000") == (check.draws, f"{check.expected_wins:.3f}")
    await version(world, 2, 100, prize_id, 3, 3, weight="200000000")  # 100 draws at 0.1
    await win(world, prize_id, 110, 120, 150)  # sold out: 50 draws at 0.2
    await reach(world, 400)
    check = await odds_check(world)
    assert (150, "20.000") == (check.draws, f"{check.expected_wins:.3f}")
    await version(world, 3, 500, prize_id, 5, 2, weight="200000000")  # two units more
    await world.postgres.execute("INSERT INTO ledger_gaps VALUES (1, 521, 540, 'rebuilt')")
    await version(world, 4, 560, prize_id, 5, 2, weight="200000000", enabled=False)  # 40 draws
    await version(world, 5, 1000, prize_id, 5, 2, weight="500000000")
    await reach(world, 1010)
    check = await odds_check(world)
    assert (200, "33.000") == (check.draws, f"{check.expected_wins:.3f}")
    assert ("0.165", "less_often") == (f"{check.expected_probability:.3f}", check.verdict)
    assert check.interval_low < 3 / 200 < check.interval_high
    assert "3 wins in 200 draws that could win it, where 33.00 were" in check.explanation
    async with open_world(world.postgres, world.variables["KUJI_POSTGRES_DSN"]) as another:
        another.pools.pools = world.pools.pools
        assert check == await odds_check(another)


async def test_odds_are_read_again_where_postgres_was_put_back(world: World, prize_id: int) -> None:
    """What this process has added up is forgotten with what it was added up from."""
    await version(world, 1, 0, prize_id, 9, 9, weight="100000000")
    await version(world, 2, 100, prize_id, 9, 9, weight="200000000")
    await reach(world, 200)
    assert 30.0 == pytest.approx((await odds_check(world)).expected_wins)
    await world.postgres.execute("DELETE FROM pool_versions WHERE version = 2")
    await reach(world, 50)
    assert 5.0 == pytest.approx((await odds_check(world)).expected_wins)


async def test_prize_with_a_limit_of_its_own_is_not_judged(world: World, prize_id: int) -> None:
    """Whoever has won it has no chance of it, and still draws."""
    await version(world, 1, 0, prize_id, 9, 9, weight="500000000", wins_per_user=1)
    await reach(world, 1000)
    assert "not_judged" == (await odds_check(world)).verdict
