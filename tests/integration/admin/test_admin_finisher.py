"""What time does to activities, with a real Postgres and live pools in memory."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kuji.admin.v1.admin_pb2 import (
    Activity,
    ListActivitiesRequest,
    ListAuditLogRequest,
    UpdateActivityRequest,
)
from kuji.draw.v1 import pool_pb2

from services.common.errors import PoolNotLoadedError, UnavailableError
from tests.support.admin import World, failure, open_world, settled_or_waiting

ENDED = pool_pb2.POOL_STATUS_ENDED
OPEN = pool_pb2.POOL_STATUS_OPEN


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service; an activity can be extended for a minute after its end."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


def in_seconds(seconds: int) -> Timestamp:
    return Timestamp(seconds=int(time.time()) + seconds)


async def ended_ago(world: World, seconds: int, **fields: Any) -> Activity:
    """An activity whose end passed so long ago."""
    return await world.activity(
        start_time=in_seconds(-600), end_time=in_seconds(-seconds), **fields
    )


async def stored(world: World) -> list[str]:
    """The stored status of each activity, by id."""
    rows = await world.postgres.fetch("SELECT status FROM activities ORDER BY id")
    return [row["status"] for row in rows]


def live(world: World) -> list[Any]:
    """The live status of each pool, by id."""
    return [pool.config.status for pool in world.pools.pools.values()]


async def test_finish_ends_for_good_what_time_ended(world: World) -> None:
    """Past the grace, it is ended in Postgres and in the live store, also where it was paused."""
    await ended_ago(world, 61)
    await ended_ago(world, 61, status="planned")
    await world.postgres.execute("UPDATE activities SET status = 'paused' WHERE id = 2")
    await world.finisher.look()
    assert (["ended", "ended"], [ENDED, ENDED]) == (await stored(world), live(world))


async def test_finish_leaves_what_may_yet_be_extended(world: World) -> None:
    """Within the grace, before the end, and without an end nothing happens."""
    await ended_ago(world, 30)
    await world.activity(end_time=in_seconds(600))
    await world.activity()
    rows = await world.dump()
    await world.finisher.look()
    assert rows == await world.dump()


async def test_finish_is_in_the_audit_log(world: World) -> None:
    """The system has a name there."""
    activity = await ended_ago(world, 61)
    await world.finisher.look()
    entry = (await world.admin(ListAuditLogRequest())).entries[0]
    assert ("kuji", "activity.finish", f"activity:{activity.activity_id}") == (
        entry.username,
        entry.action,
        entry.subject,
    )
    assert {"wish": {"from": "open", "to": "ended"}} == json.loads(entry.detail)


async def test_finish_happens_once(world: World) -> None:
    """What has ended for good costs no further version."""
    await ended_ago(world, 61)
    await world.finisher.look()
    rows = await world.dump()
    await world.finisher.look()
    assert rows == await world.dump()


async def test_finish_happens_once_when_processes_race(
    postgres: asyncpg.Pool, postgres_dsn: str, world: World
) -> None:
    """Looks of several processes at the same time make one change of each activity."""
    for _ in range(3):
        await ended_ago(world, 61)
    publications = world.pools.publications
    await asyncio.gather(*(world.finisher.look() for _ in range(4)))
    assert publications + 3 == world.pools.publications
    assert 3 == await postgres.fetchval(
        "SELECT count(*) FROM audit_log WHERE action = 'activity.finish'"
    )


async def test_finish_yields_to_an_extension(world: World) -> None:
    """An operator who extended it while the finisher waited for the pool has the last word."""
    activity = await ended_ago(world, 61)
    async with world.postgres.acquire() as other, other.transaction():
        await other.execute("SELECT FROM pools WHERE id = $1 FOR UPDATE", activity.pool_id)
        look = asyncio.create_task(world.finisher.look())
        await settled_or_waiting(world, look)
        await other.execute("UPDATE activities SET end_time = now() + interval '1 hour'")
    await look
    assert (["open"], [OPEN]) == (await stored(world), live(world))


async def test_finish_of_one_does_not_wait_for_another_s_trouble(world: World) -> None:
    """An activity that cannot be published now is left for the next look."""
    await ended_ago(world, 62)
    await ended_ago(world, 61)
    world.pools.refuse_once = PoolNotLoadedError()
    await world.finisher.look()
    assert ["open", "ended"] == await stored(world)
    await world.finisher.look()
    assert ["ended", "ended"] == await stored(world)


async def test_finish_changes_nothing_when_the_draw_service_is_away(world: World) -> None:
    """It is rolled back, and made up for later."""
    await ended_ago(world, 61)
    rows = await world.dump()
    world.pools.refusal = UnavailableError()
    await world.finisher.look()
    assert rows == await world.dump()


async def test_finished_activity_is_never_extended(world: World) -> None:
    """Its seed is going to be revealed."""
    activity = await ended_ago(world, 61)
    await world.finisher.look()
    request = UpdateActivityRequest(activity_id=activity.activity_id, end_time=in_seconds(600))
    assert ("INVALID_ARGUMENT", {"field": "end_time"}) == await failure(world.admin(request))


async def test_extended_activity_is_finished_at_its_new_end(world: World) -> None:
    """The grace counts from the end that holds."""
    activity = await ended_ago(world, 30)
    await world.prize(activity.activity_id)
    request = UpdateActivityRequest(activity_id=activity.activity_id, end_time=in_seconds(600))
    await world.admin(request)
    await world.finisher.look()
    answer = await world.admin(ListActivitiesRequest())
    assert "ongoing" == answer.activities[0].status


async def in_tokyo(world: World, recorded_minutes: int, **fields: Any) -> Activity:
    """An activity in Tokyo, whose newest configuration has another offset than Tokyo has."""
    given = {"time_zone": "Asia/Tokyo", "max_draws_per_day": 3, **fields}
    activity = await world.activity(**given)
    pool = world.pools.pools[activity.pool_id]
    pool.config.limits.day_offset_minutes = recorded_minutes
    await world.record_config(activity.pool_id, pool.config)
    return activity


@pytest.mark.parametrize("stale", [0, 480, -60])
async def test_day_shifts_when_the_offset_of_its_zone_changed(world: World, stale: int) -> None:
    """The midnight of the quota follows the clocks, in a version of its own, and is logged."""
    activity = await in_tokyo(world, stale)
    pool = world.pools.pools[activity.pool_id]
    version = pool.version
    await world.finisher.look()
    assert 540 == pool.config.limits.day_offset_minutes
    assert version < pool.version == await world.postgres.fetchval("SELECT version FROM pools")
    entry = (await world.admin(ListAuditLogRequest())).entries[0]
    assert ("kuji", "activity.shift_day") == (entry.username, entry.action)
    assert {"day_offset_minutes": {"from": stale, "to": 540}} == json.loads(entry.detail)


async def test_day_shifts_once_until_the_recorder_has_seen_it(world: World) -> None:
    """With the recorder away, looks do not publish again and again, nor do racing ones."""
    await in_tokyo(world, 480)
    publications = world.pools.publications
    await asyncio.gather(*(world.finisher.look() for _ in range(3)))
    await world.finisher.look()
    assert publications + 1 == world.pools.publications


async def test_day_stays_when_another_process_shifted_it_meanwhile(world: World) -> None:
    """Who waited for the pool looks again, and finds it right and recorded."""
    activity = await in_tokyo(world, 480)
    publications = world.pools.publications
    async with world.postgres.acquire() as other, other.transaction():
        await other.execute("SELECT FROM pools WHERE id = $1 FOR UPDATE", activity.pool_id)
        look = asyncio.create_task(world.finisher.look())
        await settled_or_waiting(world, look)
        config = '{"limits": {"day_offset_minutes": 540}}'
        await other.execute("UPDATE pool_versions SET config = CAST($1 AS json)", config)
    await look
    assert publications == world.pools.publications


@pytest.mark.parametrize(
    ("recorded_minutes", "fields"),
    [
        (540, {}),
        (480, {"max_draws_per_day": 0}),
        (480, {"start_time": Timestamp(seconds=1), "end_time": Timestamp(seconds=2)}),
    ],
    ids=["right", "no daily quota", "ended"],
)
async def test_day_stays_when_nothing_depends_on_it(
    world: World, recorded_minutes: int, fields: dict[str, Any]
) -> None:
    """Where the offset is right, or no quota counts days, nothing is published for it."""
    await in_tokyo(world, recorded_minutes, **fields)
    await world.finisher.look()
    assert not await world.postgres.fetchval(
        "SELECT count(*) FROM audit_log WHERE action = 'activity.shift_day'"
    )


async def test_run_looks_at_once_and_again_until_stopped(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """A look that fails does not end it; stop() does."""
    async with open_world(postgres, postgres_dsn, finish_every_s=0.01) as world:
        await ended_ago(world, 61)
        world.pools.refusal = UnavailableError()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.finisher.run())
            await world.pools.refused.wait()
            world.pools.held.clear()
            world.pools.hold = asyncio.Event()
            world.pools.refusal = None
            await world.pools.held.wait()
            world.finisher.stop()
            world.pools.hold.set()
        assert ["ended"] == await stored(world)
