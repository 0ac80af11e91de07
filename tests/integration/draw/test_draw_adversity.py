"""What still holds when the wire is cut, a store hangs, restarts, fills up, is emptied or gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import draw_pb2, pool_pb2
from redis.asyncio import Redis

from services.common.status import error_info_of
from services.pool.ledger.entries import ConfigEntry, DrawEntry, decode_entry
from services.pool.store.keys import ledger_key
from tests.support.admin import failure
from tests.support.draw_service import (
    Activity,
    Caller,
    Valkey,
    World,
    open_world,
    own_valkey,
    told,
)
from tests.support.history import eventually
from tests.support.proxy import Proxy, proxying

SURE = 1_000_000_000
SCRIPT = b"EVALSHA"


@pytest.fixture
async def proxy(redis_url: str, redis: object) -> AsyncIterator[Proxy]:
    """A proxy in front of an empty Redis."""
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    async with proxying("127.0.0.1", port) as proxy:
        yield proxy


@pytest.fixture
async def world(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, proxy: Proxy
) -> AsyncIterator[World]:
    """Replica 0 behind the proxy, replica 1 beside it; calls to Redis take a second at most."""
    behind = f"redis://127.0.0.1:{proxy.port}/0"
    async with open_world(postgres, postgres_dsn, behind, redis_url, redis_timeout_s=1.0) as world:
        yield world


async def ledger(redis: Redis, activity: Activity) -> list[tuple[int, str]]:
    """(user id, request id) of every draw of the pool, in order."""
    raw: Any = await redis.xrange(ledger_key(activity.pool_id))
    entries = [decode_entry(*entry) for entry in raw]
    draws = [draw for entry in entries if isinstance(entry, DrawEntry) for draw in entry.draws]
    return [(draw.user_id, draw.request_id.decode()) for draw in draws]


async def test_draw_happens_once_when_its_reply_is_lost(
    world: World, proxy: Proxy, redis: Redis
) -> None:
    """X2: sent, done, and never heard of: whatever is answered, the request id is one draw."""
    activity = await world.activity((5, SURE))
    await world.user(1).draw(activity.activity_id, "before")
    proxy.lose_reply(SCRIPT)
    outcome = await _reason_or_draw_id(world.user(7).draw(activity.activity_id, "a"))
    assert 1 == proxy.lost_replies
    again = await world.user(7).draw(activity.activity_id, "a")
    assert f"{activity.pool_id}-2" == again.draw_id
    assert again.replayed
    assert outcome in {"UNAVAILABLE", again.draw_id}
    assert [(1, "before"), (7, "a")] == await ledger(redis, activity)
    assert [3] == await world.left(activity)


async def _reason_or_draw_id(call: Any) -> str:
    try:
        return str((await call).draw_id)
    except grpc.aio.AioRpcError as error:
        info = error_info_of(error)
        return info.reason if info is not None else repr(error)


async def test_batch_happens_once_when_its_reply_is_lost(
    world: World, proxy: Proxy, redis: Redis
) -> None:
    """Every element is a result or UNAVAILABLE; sent again, each is the draw that it was."""
    activity = await world.activity((5, SURE))
    elements = [(activity.activity_id, user_id, "a") for user_id in range(1, 301)]
    await world.service().batch((activity.activity_id, 999, "before"))
    proxy.lose_reply(SCRIPT)
    first = await world.service().batch(*elements)
    assert 1 == proxy.lost_replies
    again = await world.service().batch(*elements)
    assert all(outcome.result.replayed for outcome in again)
    assert all(told(a) in {"UNAVAILABLE", told(b)} for a, b in zip(first, again, strict=True))
    assert 301 == len(await ledger(redis, activity))
    assert 4 == sum(outcome.result.won for outcome in again)


async def test_publication_is_not_refused_when_its_own_reply_is_lost(
    world: World, proxy: Proxy, redis: Redis
) -> None:
    """A change that took effect is never called a conflict: nobody else changed anything."""
    activity = await world.activity((5, SURE))
    activity.config.prizes[0].units = 9
    proxy.lose_reply(SCRIPT)
    published = await world.publish(activity)
    assert 1 == proxy.lost_replies
    assert [(9, 9)] == [(stock.units, stock.remaining) for stock in published.stocks]
    raw: Any = await redis.xrange(ledger_key(activity.pool_id))
    entries = [decode_entry(*entry) for entry in raw]
    versions = [entry.version for entry in entries if isinstance(entry, ConfigEntry)]
    assert (2, activity.version) == (len(versions), versions[-1])


async def test_draw_is_unavailable_within_its_bound_when_redis_hangs(
    world: World, proxy: Proxy, redis: Redis
) -> None:
    """A reason and a hint instead of a hang; afterwards the request id tells what became of it."""
    activity = await world.activity((5, SURE))
    proxy.hang()
    refused = await failure(world.user(7).draw(activity.activity_id, "a", timeout=8))
    assert ("UNAVAILABLE", {"retry_after_ms": "500"}) == refused
    (outcome,) = await world.service().batch((activity.activity_id, 8, "a"), timeout=8)
    assert "UNAVAILABLE" == told(outcome)
    proxy.resume()
    again = await world.user(7).draw(activity.activity_id, "a")
    await world.user(8).draw(activity.activity_id, "a")
    assert {(7, "a"), (8, "a")} == set(await ledger(redis, activity))
    assert 2 == len(await ledger(redis, activity))
    assert again.won


async def test_batch_keeps_to_its_deadline_when_redis_hangs(world: World, proxy: Proxy) -> None:
    """A caller less patient than the store's timeout still gets each element's reason."""
    activity = await world.activity((5, SURE))
    proxy.hang()
    outcomes = await world.service().batch(
        *[(activity.activity_id, user_id, "a") for user_id in range(1, 11)], timeout=0.6
    )
    assert ["UNAVAILABLE"] * 10 == [told(outcome) for outcome in outcomes]


async def test_other_replica_goes_on_when_one_loses_redis(world: World, proxy: Proxy) -> None:
    """A replica that is cut off answers UNAVAILABLE; the other draws, and both agree afterwards."""
    activity = await world.activity((50, SURE))
    await world.user(1).draw(activity.activity_id, "a")
    await proxy.refuse()
    assert "UNAVAILABLE" == (await failure(world.user(2).draw(activity.activity_id, "a")))[0]
    beside = await world.user(2, replica=1).draw(activity.activity_id, "a")
    proxy.resume()
    again = await world.user(2).draw(activity.activity_id, "a")
    assert (beside.draw_id, True) == (again.draw_id, again.replayed)


async def test_pause_holds_for_the_very_next_draw_on_every_replica(world: World) -> None:
    """L7: paused through one replica, the other draws no more; resumed, it draws again."""
    activity = await world.activity((50, SURE))
    for replica, other in ((0, 1), (1, 0)):
        await world.user(1, replica=other).draw(activity.activity_id, f"before {replica}")
        activity.config.status = pool_pb2.POOL_STATUS_PAUSED
        await world.publish(activity, replica=replica)
        for asked in (other, replica):
            refused = await failure(
                world.user(1, replica=asked).draw(activity.activity_id, f"paused {replica}")
            )
            assert ("ACTIVITY_NOT_ONGOING", {"status": "paused"}) == refused
        activity.config.status = pool_pb2.POOL_STATUS_OPEN
        await world.publish(activity, replica=replica)
        resumed = await world.user(1, replica=other).draw(activity.activity_id, f"on {replica}")
        assert activity.version == resumed.pool_version


async def test_no_draw_comes_after_a_pause_when_both_replicas_are_busy(
    world: World, redis: Redis
) -> None:
    """L7: in the ledger nothing follows the pause, whatever was in flight when it came."""
    activity = await world.activity((5000, SURE))
    stop = asyncio.Event()

    async def draw_on(replica: int) -> set[str]:
        reasons, number = set(), 0
        while not stop.is_set():
            number += 1
            draws = [(activity.activity_id, number * 100 + n, f"r{replica}") for n in range(20)]
            outcomes = await world.service(replica).batch(*draws)
            reasons |= {outcome.error.reason for outcome in outcomes}
        return reasons

    async def some_are_drawn() -> bool:
        return len(await ledger(redis, activity)) > 200

    drawing = [asyncio.ensure_future(draw_on(replica)) for replica in (0, 1)]
    await eventually(some_are_drawn)
    activity.config.status = pool_pb2.POOL_STATUS_PAUSED
    published = await world.publish(activity)
    after = [
        await world.service(replica).batch((activity.activity_id, 1, "x")) for replica in (1, 0)
    ]
    stop.set()
    reasons = await asyncio.gather(*drawing)
    assert [{"", "ACTIVITY_NOT_ONGOING"}] * 2 == [
        seen | {"ACTIVITY_NOT_ONGOING"} for seen in reasons
    ]
    assert ["ACTIVITY_NOT_ONGOING"] * 2 == [told(outcome) for (outcome,) in after]
    assert published.after_seq == len(await ledger(redis, activity))


async def test_draws_go_on_when_scripts_are_forgotten(world: World, redis: Redis) -> None:
    """SCRIPT FLUSH, as by a failover, costs no draw and no error."""
    activity = await world.activity((50, SURE))
    for number in range(1, 4):
        await redis.script_flush()
        result = await world.user(number).draw(activity.activity_id, "a")
        assert f"{activity.pool_id}-{number}" == result.draw_id
    await redis.script_flush()
    await world.publish(activity)


async def dump(redis: Redis) -> dict[Any, Any]:
    """Every key's serialized value."""
    return {name: await redis.dump(name) for name in sorted(await redis.keys("*"))}


async def test_nothing_is_half_done_when_redis_is_full(world: World, redis: Redis) -> None:
    """Refused before anything is written, as OVERLOADED; with room again draws flow."""
    activity = await world.activity((50, SURE))
    await world.user(1).draw(activity.activity_id, "a")
    before = await dump(redis)
    await redis.config_set("maxmemory", "1mb")
    try:
        unary = await failure(world.user(2).draw(activity.activity_id, "a"))
        (outcome,) = await world.service().batch((activity.activity_id, 3, "a"))
        published = await failure(world.publish(activity))
    finally:
        await redis.config_set("maxmemory", "0")
    assert ("OVERLOADED", {"retry_after_ms": "1000"}) == unary
    assert ("OVERLOADED", "OVERLOADED") == (told(outcome), published[0])
    assert before == await dump(redis)

    async def draws_again() -> bool:
        (outcome,) = await world.service().batch((activity.activity_id, 2, "a"))
        return bool(outcome.HasField("result"))

    await eventually(draws_again)


async def test_draws_are_refused_when_redis_was_emptied(world: World, redis: Redis) -> None:
    """POOL_NOT_LOADED rather than draws from a stock that nobody knows."""
    activity = await world.activity((50, SURE))
    await world.user(1).draw(activity.activity_id, "a")
    await redis.flushall()
    for replica in (0, 1):
        for request_id in ("a", "b"):
            call = world.user(1, replica=replica).draw(activity.activity_id, request_id)
            assert "POOL_NOT_LOADED" == (await failure(call))[0]
    assert [] == await redis.keys("{p:*")
    assert "POOL_NOT_LOADED" == (await failure(world.publish(activity)))[0]


async def test_draws_are_refused_when_redis_went_back_in_time(world: World, redis: Redis) -> None:
    """A store that lacks draws which were answered is not drawn from: units would be won twice."""
    activity = await world.activity((50, SURE))
    await world.user(1).draw(activity.activity_id, "a")
    past = await dump(redis)
    await world.user(2).draw(activity.activity_id, "a")
    await redis.flushall()
    for name, value in past.items():
        await redis.restore(name, 0, value)
    assert "POOL_NOT_LOADED" == (await failure(world.user(3).draw(activity.activity_id, "a")))[0]
    assert past == await dump(redis)


async def test_known_pools_draw_when_postgres_is_down(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """Draws and replays by activity_id go on; what needs Postgres is UNAVAILABLE, and no hang."""
    server = urlsplit(postgres_dsn)
    async with (
        proxying(str(server.hostname), int(server.port or 0)) as gate,
        open_world(postgres, gate.instead_of(postgres_dsn), redis_url, watch_every_s=3600) as world,
    ):
        activity, unknown = await world.activity((50, SURE)), await world.activity((50, SURE))
        first = await world.user(1).draw(activity.activity_id, "a")
        await gate.refuse()
        again = await world.user(1).draw(activity.activity_id, "a")
        assert (first.draw_id, True) == (again.draw_id, again.replayed)
        assert (await world.user(2).draw(activity.activity_id, "a")).won
        outcomes = await world.service().batch(
            (activity.activity_id, 3, "a"), (unknown.activity_id, 3, "a")
        )
        assert [f"{activity.pool_id}-3", "UNAVAILABLE"] == [told(outcome) for outcome in outcomes]
        for needs_postgres in (unknown.activity_id, 0):
            refused = await failure(world.user(4).draw(needs_postgres, "a"))
            assert ("UNAVAILABLE", {"retry_after_ms": "500"}) == refused
        gate.resume()
        assert (await world.user(3).draw(unknown.activity_id, "a")).won


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Valkey]:
    """A Valkey that this test may kill."""
    async with own_valkey(tmp_path) as valkey:
        yield valkey


async def test_nothing_acknowledged_is_lost_when_redis_is_killed(
    postgres: asyncpg.Pool, postgres_dsn: str, valkey: Valkey, tmp_path: Path
) -> None:
    """X1, X2: kill -9 amid draws, three times: every answer that was given is there, unchanged."""
    settings = {"redis_timeout_s": 1.0, "marks_folder": tmp_path / "marks"}
    async with open_world(postgres, postgres_dsn, valkey.url, **settings) as world:
        activity = await world.activity((300, SURE))
        answered: dict[tuple[int, str], draw_pb2.DrawResult] = {}
        for life in range(3):
            drawing = asyncio.ensure_future(_draw_until_cut(world.service(), activity, life))
            await _enough_drawn(world, activity, (life + 1) * 100)
            valkey.kill()
            answered |= await drawing
            await valkey.start_again()
        keys = list(answered)
        for at in range(0, len(keys), 1000):
            asked = keys[at : at + 1000]
            outcomes = await world.service().batch(*[(activity.activity_id, *key) for key in asked])
            assert [_bare(answered[key]) for key in asked] == [_bare(o.result) for o in outcomes]
        state = await world.state(activity)
        assert state is not None
        assert (
            state.last_seq >= len(answered) >= 240
        )  # the last batch of each life may be unanswered
        assert [max(0, 300 - state.last_seq)] == await world.left(activity)


async def _draw_until_cut(
    caller: Caller, activity: Activity, life: int
) -> dict[tuple[int, str], draw_pb2.DrawResult]:
    """Draw in batches until one is not answered; the results that were answered."""
    found: dict[tuple[int, str], draw_pb2.DrawResult] = {}
    for start in range(1, 1_000_000, 20):
        keys = [(user_id, f"life {life}") for user_id in range(start, start + 20)]
        outcomes = await caller.batch(*[(activity.activity_id, *key) for key in keys])
        for key, outcome in zip(keys, outcomes, strict=True):
            if outcome.HasField("result"):
                found[key] = outcome.result
        if len(found) < start + 19:
            assert {"UNAVAILABLE"} == {one.error.reason for one in outcomes if one.error.reason}
            return found
    raise AssertionError("the store was never cut")


async def _enough_drawn(world: World, activity: Activity, count: int) -> None:
    async def is_drawn() -> bool:
        state = await world.state(activity)
        return state is not None and state.last_seq >= count

    await eventually(is_drawn)


def _bare(result: draw_pb2.DrawResult) -> draw_pb2.DrawResult:
    """*result*, whether first or replayed."""
    bare = draw_pb2.DrawResult()
    bare.CopyFrom(result)
    bare.ClearField("replayed")
    return bare
