"""Activities over gRPC: a real Postgres, live pools in memory."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kuji.admin.v1.admin_pb2 import (
    Activity,
    CreateActivityRequest,
    DeletePrizeRequest,
    ListActivitiesRequest,
    ListAuditLogRequest,
    UpdateActivityRequest,
)
from kuji.draw.v1 import pool_pb2

from services.admin.models import ActivityTerms, Wish
from services.common.timestamps import NEVER_MS
from tests.support.admin import World, failure, open_world
from tests.support.live_pools import COMMITMENT


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


def in_seconds(seconds: int) -> Timestamp:
    """A whole second from now on."""
    return Timestamp(seconds=int(time.time()) + seconds)


async def update(world: World, activity: Activity, **fields: Any) -> Activity:
    response = await world.admin(UpdateActivityRequest(activity_id=activity.activity_id, **fields))
    changed: Activity = response.activity
    return changed


async def test_create_stores_and_publishes(world: World) -> None:
    """A new activity has a pool, a commitment, and holds in the live store."""
    activity = await world.activity(
        description="cherry",
        start_time=in_seconds(-60),
        end_time=in_seconds(600),
        cooldown_seconds=30,
        max_draws_per_user=9,
        max_draws_per_day=3,
        max_wins_per_user=1,
        time_zone="Asia/Tokyo",
        confirm="recorded",
        ticket_required=True,
        ticket_difficulty=12,
        ticket_spread_ms=2000,
    )
    assert "recorded" == activity.confirm
    assert (activity.status, activity.seed_commitment) == ("ongoing", COMMITMENT)
    live = world.pools.pools[activity.pool_id]
    assert live.config == pool_pb2.PoolConfig(
        mode=pool_pb2.POOL_MODE_ODDS,
        status=pool_pb2.POOL_STATUS_OPEN,
        start_ms=activity.start_time.ToMilliseconds(),
        end_ms=activity.end_time.ToMilliseconds(),
        limits=pool_pb2.UserLimits(
            cooldown_ms=30_000,
            draws_per_user=9,
            draws_per_day=3,
            wins_per_user=1,
            day_offset_minutes=540,
        ),
        activity_id=activity.activity_id,
        confirm=pool_pb2.CONFIRM_RECORDED,
        draw_tickets=pool_pb2.TicketPolicy(required=True, difficulty=12, spread_ms=2000),
    )
    assert live.version == await world.postgres.fetchval("SELECT version FROM pools")


async def test_create_is_planned_without_a_start_when_there_is_only_a_name(world: World) -> None:
    """A name alone opens nothing: no start, no end, in UTC, without limits, confirmed by store."""
    activity = await world.activity(status="")
    assert (activity.status, activity.time_zone, activity.confirm) == ("planned", "UTC", "store")
    assert not activity.HasField("start_time")
    assert not activity.HasField("end_time")
    config = world.pools.pools[activity.pool_id].config
    assert (NEVER_MS, 0) == (config.start_ms, config.end_ms)
    assert activity == (await world.admin(ListActivitiesRequest())).activities[0]


async def test_create_ongoing_has_no_end_and_starts_now(world: World) -> None:
    """Who says so opens it at once."""
    activity = await world.activity()
    assert activity.status == "ongoing"
    assert not activity.HasField("end_time")
    assert (
        world.pools.pools[activity.pool_id].config.start_ms == activity.start_time.ToMilliseconds()
    )


@pytest.mark.parametrize("status", ["planned", "paused"])
async def test_opening_is_refused_when_there_is_nothing_to_win(world: World, status: str) -> None:
    """A disabled, empty, impossible or deleted prize is none; one that can be won is enough."""
    activity = await world.activity(status=status)
    for fields in ({"is_enabled": False}, {"total_count": 0}, {"probability": 0.0}):
        await world.prize(activity.activity_id, **fields)
    deleted = await world.prize(activity.activity_id)
    await world.admin(DeletePrizeRequest(prize_id=deleted.prize_id))
    opening = UpdateActivityRequest(activity_id=activity.activity_id, status="ongoing")
    rows = await world.dump()
    assert ("INVALID_ARGUMENT", {"field": "status"}) == await failure(world.admin(opening))
    assert rows == await world.dump()
    await world.prize(activity.activity_id)
    assert (await update(world, activity, status="ongoing")).status == "ongoing"


async def test_a_start_in_the_past_opens_nothing_when_there_is_nothing_to_win(world: World) -> None:
    """It is an opening like any other."""
    activity = await world.activity(status="planned")
    request = UpdateActivityRequest(activity_id=activity.activity_id, start_time=in_seconds(-1))
    assert ("INVALID_ARGUMENT", {"field": "status"}) == await failure(world.admin(request))


async def test_update_empties_what_is_cleared(world: World) -> None:
    """A cleared field is empty, in Postgres and in the live store; what is left out stays."""
    activity = await world.activity(
        description="cherry",
        end_time=in_seconds(600),
        cooldown_seconds=30,
        max_draws_per_user=9,
        max_draws_per_day=3,
        max_wins_per_user=1,
    )
    cleared = ["description", "end_time", "cooldown_seconds", "max_draws_per_user"]
    cleared += ["max_draws_per_day", "max_wins_per_user"]
    after = await update(world, activity, cleared_fields=cleared)
    assert ("Spring", "", "ongoing") == (after.name, after.description, after.status)
    assert not after.HasField("end_time")
    live = world.pools.pools[activity.pool_id].config
    assert (0, pool_pb2.UserLimits()) == (live.end_ms, live.limits)
    assert after == (await world.admin(ListActivitiesRequest())).activities[0]


async def test_update_is_refused_when_a_field_is_given_and_cleared(world: World) -> None:
    """Nobody can tell what was meant."""
    activity = await world.activity(end_time=in_seconds(600))
    request = UpdateActivityRequest(
        activity_id=activity.activity_id, end_time=in_seconds(900), cleared_fields=["end_time"]
    )
    assert ("INVALID_ARGUMENT", {"field": "end_time"}) == await failure(world.admin(request))


async def test_create_is_planned_when_its_start_lies_ahead(world: World) -> None:
    """Time will open it."""
    activity = await world.activity(start_time=in_seconds(600))
    assert activity.status == "planned"


async def test_create_ongoing_moves_the_start_to_now(world: World) -> None:
    """Opening now means now, in Postgres and in the live store."""
    activity = await world.activity(start_time=in_seconds(600), status="ongoing")
    assert activity.status == "ongoing"
    live = world.pools.pools[activity.pool_id]
    assert live.config.start_ms == activity.start_time.ToMilliseconds()


UNFIT_NEW: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "a" * 101}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"description": "a" * 2001}, "description"),
    ({"description": "a\0b"}, "description"),
    ({"status": "open"}, "status"),
    ({"status": "ended"}, "status"),
    ({"status": "Ongoing"}, "status"),
    ({"cooldown_seconds": -1}, "cooldown_seconds"),
    ({"cooldown_seconds": 31_536_001}, "cooldown_seconds"),
    ({"max_draws_per_user": 2**31 - 1}, "max_draws_per_user"),
    ({"max_draws_per_day": -(2**31)}, "max_draws_per_day"),
    ({"max_wins_per_user": 1_000_001}, "max_wins_per_user"),
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ({"confirm": "Recorded"}, "confirm"),
    ({"start_time": Timestamp(seconds=253_402_300_800)}, "start_time"),
    ({"start_time": Timestamp(nanos=-1)}, "start_time"),
    ({"end_time": Timestamp(seconds=-62_135_596_801)}, "end_time"),
    ({"end_time": Timestamp(seconds=1)}, "end_time"),
    ({"ticket_difficulty": 33}, "ticket_difficulty"),
    ({"ticket_difficulty": -1}, "ticket_difficulty"),
    ({"ticket_spread_ms": 3_600_001}, "ticket_spread_ms"),
]


async def test_create_refuses_bad_input(world: World) -> None:
    """Each unfit field is named, and nothing is stored."""
    for fields, field in UNFIT_NEW:
        request = CreateActivityRequest(**{"name": "Spring", **fields})
        assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request)), fields
    assert not any((await world.dump()).values())


async def test_name_is_just_text(world: World) -> None:
    """SQL in a name is stored and shown as it was written."""
    name = "'); DROP TABLE activities; -- :name $1 %s"
    activity = await world.activity(name=name, description=name)
    read = (await world.admin(ListActivitiesRequest())).activities[0]
    assert (read.name, read.description) == (name, name)
    assert (await update(world, activity, name=name + "'")).name == name + "'"


async def test_update_changes_only_what_is_given(world: World) -> None:
    """A partial change leaves the other fields, and is published."""
    before = await world.activity(description="cherry", cooldown_seconds=30)
    after = await update(world, before, max_draws_per_user=2, description="")
    expected = Activity()
    expected.CopyFrom(before)
    expected.max_draws_per_user = 2
    expected.description = ""
    expected.updated_at.CopyFrom(after.updated_at)
    expected.etag = after.etag
    assert expected == after
    limits = world.pools.pools[before.pool_id].config.limits
    assert (limits.cooldown_ms, limits.draws_per_user) == (30_000, 2)


async def test_confirm_changes_for_the_next_draw(world: World) -> None:
    """Either way; the list shows it, and what is not asked for stays."""
    activity = await world.activity()
    live = world.pools.pools[activity.pool_id]
    for confirm, published in [
        ("recorded", pool_pb2.CONFIRM_RECORDED),
        ("replica", pool_pb2.CONFIRM_REPLICA),
        ("store", pool_pb2.CONFIRM_UNSPECIFIED),
    ]:
        await update(world, activity, confirm=confirm)
        assert published == live.config.confirm
        listed = (await world.admin(ListActivitiesRequest())).activities[0]
        assert confirm == listed.confirm == (await update(world, activity, name="x")).confirm


async def test_ticket_policy_changes_for_the_next_draw(world: World) -> None:
    """E, L2: while the activity runs; shown, audited, left as it is, taken back, cleared."""
    activity = await world.activity()
    live = world.pools.pools[activity.pool_id]
    assert not live.config.HasField("draw_tickets")
    changed = await update(
        world, activity, ticket_required=True, ticket_difficulty=32, ticket_spread_ms=3_600_000
    )
    assert changed == (await world.admin(ListActivitiesRequest())).activities[0]
    asked = pool_pb2.TicketPolicy(required=True, difficulty=32, spread_ms=3_600_000)
    assert asked == live.config.draw_tickets
    entry = (await world.admin(ListAuditLogRequest())).entries[0]
    assert {"from": 0, "to": 32} == json.loads(entry.detail)["ticket_difficulty"]
    named = await update(world, activity, name="x")
    assert (True, 32, 3_600_000) == (
        named.ticket_required,
        named.ticket_difficulty,
        named.ticket_spread_ms,
    )
    await update(world, activity, ticket_required=False, cleared_fields=["ticket_difficulty"])
    assert pool_pb2.TicketPolicy(spread_ms=3_600_000) == live.config.draw_tickets
    await update(world, activity, cleared_fields=["ticket_spread_ms"])
    assert not live.config.HasField("draw_tickets")


async def test_update_without_a_difference_publishes_nothing(world: World) -> None:
    """Sending back what was read costs the pool no version."""
    before = await world.activity(start_time=in_seconds(-60), end_time=in_seconds(600))
    rows = await world.dump()
    after = await update(
        world,
        before,
        name=before.name,
        status=before.status,
        start_time=before.start_time,
        end_time=before.end_time,
    )
    assert before == after
    assert rows == await world.dump()


async def test_update_walks_through_a_life(world: World) -> None:
    """Planned, ongoing, paused, ongoing, ended: each holds in the live store at once."""
    activity = await world.activity(start_time=in_seconds(600))
    await world.prize(activity.activity_id)
    live = world.pools.pools[activity.pool_id]
    seen = [(activity.status, live.config.status)]
    for status in ("ongoing", "paused", "ongoing", "ended"):
        activity = await update(world, activity, status=status)
        seen.append((activity.status, live.config.status))
    assert seen == [
        ("planned", pool_pb2.POOL_STATUS_OPEN),
        ("ongoing", pool_pb2.POOL_STATUS_OPEN),
        ("paused", pool_pb2.POOL_STATUS_PAUSED),
        ("ongoing", pool_pb2.POOL_STATUS_OPEN),
        ("ended", pool_pb2.POOL_STATUS_ENDED),
    ]


async def test_update_does_not_reopen_what_was_ended(world: World) -> None:
    """Ended is for good, and nothing changes."""
    activity = await world.activity()
    await update(world, activity, status="ended")
    rows = await world.dump()
    for status in ("ongoing", "paused", "planned"):
        request = UpdateActivityRequest(activity_id=activity.activity_id, status=status)
        assert ("INVALID_ARGUMENT", {"field": "status"}) == await failure(world.admin(request))
    assert rows == await world.dump()


async def test_update_extends_what_only_time_ended(world: World) -> None:
    """Moving the end ahead opens it again, for a while."""
    activity = await world.activity(start_time=in_seconds(-600), end_time=in_seconds(-1))
    await world.prize(activity.activity_id)
    assert activity.status == "ended"
    assert (await update(world, activity, end_time=in_seconds(600))).status == "ongoing"


async def test_update_does_not_extend_what_ended_a_while_ago(world: World) -> None:
    """Past the grace its end is fixed, also before the background task has come to it."""
    activity = await world.activity(start_time=in_seconds(-600), end_time=in_seconds(-61))
    rows = await world.dump()
    request = UpdateActivityRequest(activity_id=activity.activity_id, end_time=in_seconds(600))
    assert ("INVALID_ARGUMENT", {"field": "end_time"}) == await failure(world.admin(request))
    assert rows == await world.dump()


UNFIT_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"name": "  "}, "name"),
    ({"description": "\0"}, "description"),
    ({"status": ""}, "status"),
    ({"start_time": Timestamp(seconds=4_000_000_000)}, "start_time"),
    ({"start_time": Timestamp(seconds=2**62)}, "start_time"),
    ({"end_time": Timestamp(seconds=1)}, "end_time"),
    ({"cooldown_seconds": -1}, "cooldown_seconds"),
    ({"time_zone": "../UTC"}, "time_zone"),
    ({"confirm": ""}, "confirm"),
    ({"confirm": "disk"}, "confirm"),
    ({"ticket_difficulty": 33}, "ticket_difficulty"),
    ({"ticket_difficulty": -1}, "ticket_difficulty"),
    ({"ticket_spread_ms": 3_600_001}, "ticket_spread_ms"),
]


async def test_update_refuses_bad_input(world: World) -> None:
    """Each unfit field is named, and nothing changes."""
    activity = await world.activity()
    rows = await world.dump()
    for fields, field in UNFIT_CHANGES:
        request = UpdateActivityRequest(activity_id=activity.activity_id, **fields)
        assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request)), fields
    assert rows == await world.dump()


async def test_update_of_an_unknown_activity_is_not_found(world: World) -> None:
    """Any id without an activity has the same answer."""
    for activity_id in (0, -1, 7, 2**63 - 1):
        request = UpdateActivityRequest(activity_id=activity_id, name="x")
        assert ("ACTIVITY_NOT_FOUND", {}) == await failure(world.admin(request)), activity_id


async def test_list_is_newest_first_in_pages(world: World) -> None:
    """Pages join up, and the last one says so."""
    ids = [(await world.activity(name=f"number {n}")).activity_id for n in range(5)]
    pages = [
        await world.admin(ListActivitiesRequest(page=number, page_size=2))
        for number in (1, 2, 3, 4)
    ]
    shown = [[activity.activity_id for activity in page.activities] for page in pages]
    assert shown == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]], []]
    assert [page.has_more for page in pages] == [True, True, False, False]


async def test_list_refuses_bad_pages(world: World) -> None:
    """Pages out of bounds name the field."""
    for field, value in (("page", 0), ("page", -1), ("page_size", 0), ("page_size", 101)):
        request = ListActivitiesRequest(**{field: value})
        assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request)), value


async def test_phase_is_the_one_that_postgres_computes(postgres: asyncpg.Pool) -> None:
    """The rule in Python and activity_status in SQL are one."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    around = [now + timedelta(milliseconds=offset) for offset in (-1, 0, 1)]
    cases = [(w, start, end) for w in Wish for start in (*around, None) for end in (*around, None)]
    in_sql = [
        await postgres.fetchval("SELECT activity_status($1, $2, $3, $4)", wish, start, end, now)
        for wish, start, end in cases
    ]
    in_python = [
        ActivityTerms("n", "", start, end, wish, 0, 0, 0, 0, "UTC").phase(now)
        for wish, start, end in cases
    ]
    assert in_python == in_sql
