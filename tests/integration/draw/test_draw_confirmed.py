"""Confirmed wins: where an activity asks for it, a win is told once it is in Postgres."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import draw_pb2, pool_pb2
from redis.asyncio import Redis

from ops.rebuild.rebuilder import Outcome, Rebuilder
from services.common.status import error_info_of
from services.pool.ledger.entries import decode_entry
from services.pool.store.keys import CONFIRM_CHANNEL, ledger_key
from services.recorder.recording import record
from tests.support.draw_service import Activity, World, element, open_world, told
from tests.support.history import eventually, recording
from tests.support.proxy import Proxy, proxying

SURE = 1_000_000_000
RECORDED, STORE = pool_pb2.CONFIRM_RECORDED, pool_pb2.CONFIRM_STORE
_BOUND = {"default_timeout_s": 0.4}  # of calls whose caller gives none: timeout=None


@pytest.fixture
async def world(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[World]:
    """A draw service; nobody records."""
    del redis
    async with open_world(postgres, postgres_dsn, redis_url, **_BOUND) as world:
        yield world


async def reason_of(call: Any) -> str:
    """Why *call* failed; "" when it did not."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        info = error_info_of(error)
        return info.reason if info is not None else error.code().name
    return ""


async def record_all(redis: Redis, activity: Activity, world: World) -> None:
    """Carry the ledger into Postgres, and say so, as the recorder does."""
    raw: Any = await redis.xrange(ledger_key(activity.pool_id))
    async with world.postgres.acquire() as connection:
        entries = [decode_entry(*one) for one in raw]
        recorded = await record(connection, activity.pool_id, entries, {})
    await redis.publish(CONFIRM_CHANNEL, f"{activity.pool_id} {recorded.position.seq}")


async def drawn(world: World, activity: Activity, draws: int) -> None:
    """Wait until the pool has made *draws* draws."""

    async def has_drawn() -> bool:
        state = await world.state(activity)
        return state is not None and state.last_seq >= draws

    await eventually(has_drawn)


async def _batch(world: World, *draws: tuple[int, int, str]) -> list[Any]:
    """
    The outcomes, each by itself; the service says how long it waits.

    A machine that stands still just then has the call end before they are told: the same again.
    """
    for _ in range(4):
        try:
            return await world.service().batch(*draws, timeout=None)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
    return await world.service().batch(*draws, timeout=None)


async def test_win_is_in_postgres_by_the_time_it_is_answered(
    world: World, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """X1a: whoever is told of a win finds it in the records, under load and one by one."""
    activity = await world.activity((500, SURE // 2), confirm=RECORDED)

    async def draw(user_id: int) -> bool:
        result = await world.user(user_id).draw(activity.activity_id, "a")
        seq = int(result.draw_id.partition("-")[2])
        row = await postgres.fetchrow(
            "SELECT user_id, prize_code FROM winners WHERE pool_id = $1 AND seq = $2",
            activity.pool_id,
            seq,
        )
        expected = (user_id, result.prize.prize_code) if result.won else None
        assert expected == (tuple(row) if row else None) or not result.won
        return bool(result.won)

    async with recording(postgres_dsn, redis_url):
        alone = [await draw(user_id) for user_id in range(1, 6)]
        together = await asyncio.gather(*[draw(user_id) for user_id in range(6, 120)])
    assert {True, False} == {*alone, *together}


async def test_win_that_is_not_recorded_is_told_by_nobody(world: World, redis: Redis) -> None:
    """Alone, in a batch, in a stream, as a replay, as a proof: UNAVAILABLE until it is recorded."""
    activity = await world.activity((100, SURE), confirm=RECORDED)
    user, service, key = world.user(1), world.service(), activity.activity_id
    assert "UNAVAILABLE" == await reason_of(user.draw(key, "a", timeout=None))
    assert "UNAVAILABLE" == await reason_of(user.draw(key, "a", timeout=None))
    outcomes = await _batch(world, (key, 2, "a"), (key, 1, "a"))
    assert ["UNAVAILABLE"] * 2 == [told(outcome) for outcome in outcomes]
    verify = draw_pb2.VerifyDrawRequest(draw_id=f"{activity.pool_id}-1")
    assert "UNAVAILABLE" == await reason_of(user(verify))
    stream = service.stream()
    await stream.write(draw_pb2.DrawStreamRequest(draw=element(key, 3, "a")))
    await drawn(world, activity, 3)
    await record_all(redis, activity, world)
    assert f"{activity.pool_id}-3" == (await stream.read()).outcome.result.draw_id
    stream.cancel()
    again = [await world.user(n).draw(key, "a") for n in (1, 2, 3)]
    assert [(True, f"{activity.pool_id}-{n}") for n in (1, 2, 3)] == [
        (one.replayed, one.draw_id) for one in again
    ]
    assert (await user(verify)).valid


async def test_miss_does_not_wait(world: World) -> None:
    """Nobody records, and a miss is answered, also beside a win in one batch."""
    activity = await world.activity((1, SURE), confirm=RECORDED)
    key = activity.activity_id
    outcomes = await _batch(world, (key, 1, "a"), (key, 2, "a"))
    assert ["UNAVAILABLE", f"{activity.pool_id}-2"] == [told(outcome) for outcome in outcomes]
    missed = await world.user(2).draw(key, "a", timeout=None)
    assert (True, False) == (missed.replayed, missed.won)


async def test_win_is_confirmed_when_the_recorder_s_word_is_lost(
    world: World, redis: Redis
) -> None:
    """The database is asked now and then, whatever anybody says."""
    activity = await world.activity((9, SURE), confirm=RECORDED)
    waiting = asyncio.ensure_future(world.user(1).draw(activity.activity_id, "a"))
    await drawn(world, activity, 1)
    raw: Any = await redis.xrange(ledger_key(activity.pool_id))
    async with world.postgres.acquire() as connection:
        await record(connection, activity.pool_id, [decode_entry(*one) for one in raw], {})
    assert (await waiting).won


async def test_word_of_the_recorder_alone_confirms_nothing(world: World, redis: Redis) -> None:
    """What counts is the row: a position may lie past what was lost."""
    activity = await world.activity((9, SURE), confirm=RECORDED)
    waiting = asyncio.ensure_future(world.user(1).draw(activity.activity_id, "a", timeout=None))
    await drawn(world, activity, 1)
    await redis.publish(CONFIRM_CHANNEL, f"{activity.pool_id} 1000000")
    assert "UNAVAILABLE" == await reason_of(waiting)


async def test_win_lost_with_the_store_is_not_told_after_a_rebuild(
    world: World, redis: Redis, postgres: asyncpg.Pool
) -> None:
    """A2: who waits for it learns that it is gone; the same request id draws anew, once."""
    activity = await world.activity((1, SURE), confirm=RECORDED)
    key = activity.activity_id
    waiting = asyncio.ensure_future(world.user(1).draw(key, "a", timeout=30))
    await drawn(world, activity, 1)
    await redis.flushall()
    rebuilder = Rebuilder(postgres, redis)
    assert Outcome.REBUILT == await rebuilder.rebuild(activity.pool_id, lambda _: None)
    assert "UNAVAILABLE" == await reason_of(waiting)
    assert [1] == await world.left(activity)
    again = asyncio.ensure_future(world.user(1).draw(key, "a"))
    state = await world.state(activity)
    assert state is not None
    await drawn(world, activity, state.last_seq + 1)
    await record_all(redis, activity, world)
    assert (True, False) == ((await again).won, again.result().replayed)


async def test_wins_of_a_pool_whose_recorder_is_away_are_told_at_once_to_ask_again(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """Past the patience nobody piles up; misses go on, no outcome is refused, nothing is lost."""
    settings = {"confirm_patience_s": 0.05, **_BOUND}
    async with open_world(postgres, postgres_dsn, redis_url, **settings) as world:
        activity = await world.activity((3, SURE), confirm=RECORDED)
        key = activity.activity_id
        assert "UNAVAILABLE" == await reason_of(world.user(1).draw(key, "a", timeout=None))
        # Without a bound worth mentioning: it is the patience that ends these.
        assert "UNAVAILABLE" == await reason_of(world.user(2).draw(key, "a", timeout=300))
        assert "UNAVAILABLE" == await reason_of(world.user(3).draw(key, "a", timeout=300))
        assert not (await world.user(4).draw(key, "a", timeout=300)).won
        await record_all(redis, activity, world)
        again = [await world.user(n).draw(key, "a") for n in (1, 2, 3, 4)]
    assert [(True, True)] * 3 + [(True, False)] == [(one.replayed, one.won) for one in again]


async def test_replay_of_a_recorded_win_is_answered_while_postgres_is_away(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """The ledger has it, and the recorder has said that it wrote it."""
    host, port = "127.0.0.1", int(postgres_dsn.rpartition(":")[2].partition("/")[0])
    proxy: Proxy
    async with proxying(host, port) as proxy:
        dsn = proxy.instead_of(postgres_dsn)
        async with open_world(postgres, dsn, redis_url) as world:
            activity = await world.activity((3, SURE), confirm=RECORDED)
            async with recording(postgres_dsn, redis_url):
                first = await world.user(1).draw(activity.activity_id, "a")
            await proxy.refuse()
            again = await world.user(1).draw(activity.activity_id, "a")
    assert (first.draw_id, first.prize.prize_code, True) == (
        again.draw_id,
        again.prize.prize_code,
        again.replayed,
    )


async def test_draw_keeps_the_promise_that_it_was_made_under(world: World, redis: Redis) -> None:
    """The entry says it: a win stays untold until recorded, whatever is asked for later."""
    activity = await world.activity((100, SURE), confirm=RECORDED)
    key = activity.activity_id
    assert "UNAVAILABLE" == await reason_of(world.user(1).draw(key, "a", timeout=None))
    activity.config.confirm = STORE
    await world.publish(activity)
    assert (await world.user(2).draw(key, "a", timeout=None)).won
    assert "UNAVAILABLE" == await reason_of(world.user(1).draw(key, "a", timeout=None))
    activity.config.confirm = RECORDED
    await world.publish(activity)
    assert (await world.user(2).draw(key, "a", timeout=None)).replayed
    await record_all(redis, activity, world)
    assert (await world.user(1).draw(key, "a")).replayed
