"""A retry finds its draw wherever it is by then: in the ledger, or in Postgres."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kuji.draw.v1 import draw_pb2, pool_pb2
from redis.asyncio import Redis

from services.pool.ledger.entries import decode_entry
from services.pool.store.keys import ledger_key
from services.recorder.recording import record
from tests.support.admin import failure
from tests.support.draw_service import Activity, World, open_world, told

PPB = 1_000_000_000


async def recorded(world: World, redis: Redis, activity: Activity) -> None:
    """Carry the whole ledger into Postgres, as the recorder does."""
    raw: Any = await redis.xrange(ledger_key(activity.pool_id))
    async with world.postgres.acquire() as connection:
        await record(connection, activity.pool_id, [decode_entry(*one) for one in raw], {})


async def trimmed(redis: Redis, activity: Activity, seq: int) -> None:
    """Drop what the ledger holds of the draws up to *seq*."""
    first_kept: Any = f"{seq + 1}-0"
    await redis.xtrim(ledger_key(activity.pool_id), minid=first_kept, approximate=False)


def repeated(result: draw_pb2.DrawResult) -> draw_pb2.DrawResult:
    """What a replay of *result* must say: the same, but that it is one."""
    expected = draw_pb2.DrawResult()
    expected.CopyFrom(result)
    expected.replayed = True
    return expected


async def drawn(world: World, activity: Activity, users: int) -> list[draw_pb2.DrawResult]:
    """One draw for each of *users*: some by themselves, the rest in one batch."""
    alone = [await world.user(user).draw(activity.activity_id, "a") for user in range(1, 4)]
    draws = [(activity.activity_id, user, "a") for user in range(4, users + 1)]
    return alone + [outcome.result for outcome in await world.service().batch(*draws)]


async def asked_again(world: World, activity: Activity, users: int) -> list[draw_pb2.DrawResult]:
    """The same draws, sent again: half in a batch, half by themselves."""
    half = users // 2
    draws = [(activity.activity_id, user, "a") for user in range(1, half + 1)]
    batch = [outcome.result for outcome in await world.service().batch(*draws)]
    rest = range(half + 1, users + 1)
    return batch + [await world.user(user).draw(activity.activity_id, "a") for user in rest]


async def test_replay_is_the_same_result_wherever_the_draw_is_by_then(
    world: World, redis: Redis
) -> None:
    """X2: from the ledger, from both, and from Postgres alone, field by field."""
    limits = pool_pb2.UserLimits(draws_per_user=5, cooldown_ms=3_600_000)
    activity = await world.activity((9, PPB // 2), (9, PPB // 4), limits=limits)
    expected = [repeated(result) for result in await drawn(world, activity, 20)]
    assert {True, False} == {result.won for result in expected}
    assert expected == await asked_again(world, activity, 20)
    await recorded(world, redis, activity)
    assert expected == await asked_again(world, activity, 20)
    await trimmed(redis, activity, 2)
    assert expected == await asked_again(world, activity, 20)
    await trimmed(redis, activity, 20)
    assert expected == await asked_again(world, activity, 20)
    assert 0 == await redis.xlen(ledger_key(activity.pool_id))


async def test_replay_is_unavailable_while_its_draw_is_in_neither(
    world: World, redis: Redis
) -> None:
    """Never a made-up result, nor a second draw; the other elements of a batch do not mind."""
    activity = await world.activity((9, PPB))
    first = await world.user(1).draw(activity.activity_id, "a")
    await world.user(2).draw(activity.activity_id, "a")
    await trimmed(redis, activity, 1)
    reason, _ = await failure(world.user(1).draw(activity.activity_id, "a"))
    assert "UNAVAILABLE" == reason
    outcomes = await world.service().batch(
        (activity.activity_id, 1, "a"),
        (activity.activity_id, 2, "a"),
        (activity.activity_id, 3, "a"),
    )
    assert ["UNAVAILABLE", f"{activity.pool_id}-2", f"{activity.pool_id}-3"] == [
        told(outcome) for outcome in outcomes
    ]
    assert first.won
    assert [6] == await world.left(activity)


async def test_replay_of_another_process_finds_the_draw(
    world: World, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """X2: a retry may reach a process that was started after the draw."""
    activity = await world.activity((9, PPB))
    first = await world.user(1).draw(activity.activity_id, "a")
    async with open_world(postgres, postgres_dsn, redis_url) as later:
        again = await later.user(1).draw(activity.activity_id, "a")
    assert repeated(first) == again


async def test_replay_keeps_the_odds_and_version_of_its_draw_when_they_change(
    world: World, redis: Redis
) -> None:
    """X6: a result carries what held when it was drawn, not what holds now."""
    activity = await world.activity((9, PPB // 4))
    expected = [repeated(result) for result in await drawn(world, activity, 8)]
    activity.config.prizes[0].weight = PPB // 2
    await world.publish(activity)
    assert expected == await asked_again(world, activity, 8)
    await recorded(world, redis, activity)
    await trimmed(redis, activity, 8)
    assert expected == await asked_again(world, activity, 8)


async def test_replay_keeps_the_name_of_its_prize_when_that_changes(
    world: World, redis: Redis
) -> None:
    """X2: the prize is called what it was called when it was won."""
    activity = await world.activity((9, PPB))
    first = await world.user(1).draw(activity.activity_id, "a")
    activity.config.prizes[0].name = "Another name"
    await world.publish(activity)
    second = await world.user(2).draw(activity.activity_id, "a")
    assert "Another name" == second.prize.name
    await recorded(world, redis, activity)
    assert repeated(first) == await world.user(1).draw(activity.activity_id, "a")
    await trimmed(redis, activity, 2)
    assert repeated(first) == await world.user(1).draw(activity.activity_id, "a")


@pytest.fixture
async def replicas(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: object
) -> AsyncIterator[World]:
    """Two draw processes; one looks for what is ongoing when it is first asked."""
    async with open_world(postgres, postgres_dsn, redis_url, redis_url) as world:
        yield world


@pytest.mark.parametrize(
    "ending", ["status = 'ended'", "status = 'paused'", "start_time = 'epoch', end_time = now()"]
)
async def test_retry_without_activity_finds_its_draw_when_the_next_one_is_on(
    replicas: World, ending: str
) -> None:
    """X2: what ended meanwhile is remembered; a fresh request id draws from what is ongoing."""
    before = await replicas.activity((5, PPB))
    first = await replicas.user(7).draw(0, "a")
    await replicas.postgres.execute(f"UPDATE activities SET {ending}")
    after = await replicas.activity((5, PPB))
    assert repeated(first) == await replicas.user(7, replica=1).draw(0, "a")
    others = [
        await replicas.user(user, replica=1).draw(0, name) for user, name in [(7, "b"), (8, "a")]
    ]
    assert {after.activity_id} == {other.activity_id for other in others}
    assert [[4], [3]] == [await replicas.left(before), await replicas.left(after)]


async def test_retry_without_activity_finds_its_draw_when_several_are_on(replicas: World) -> None:
    """X2: nothing has to be guessed where it has drawn already."""
    before = await replicas.activity((5, PPB))
    first = await replicas.user(7).draw(0, "a")
    after = await replicas.activity((5, PPB))
    assert repeated(first) == await replicas.user(7, replica=1).draw(0, "a")
    assert "ACTIVITY_NOT_FOUND" == (await failure(replicas.user(7, replica=1).draw(0, "b")))[0]
    assert [[4], [5]] == [await replicas.left(before), await replicas.left(after)]
