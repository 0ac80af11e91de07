"""Blocked users and addresses over gRPC: a real Postgres, live pools in memory."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kuji.admin.v1.admin_pb2 import (
    Block,
    CreateActivityRequest,
    CreateBlockRequest,
    DeleteBlockRequest,
    ListAuditLogRequest,
    ListBlocksRequest,
    UpdateActivityRequest,
)

from services.common.errors import UnavailableError
from tests.support.admin import Caller, World, failure, open_world


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


def in_seconds(seconds: int) -> Timestamp:
    return Timestamp(seconds=int(time.time()) + seconds)


async def block(world: World, user_id: int, **fields: Any) -> Block:
    response = await world.admin(CreateBlockRequest(user_id=user_id, **fields))
    created: Block = response.block
    return created


async def lift(world: World, block_id: int) -> Block:
    response = await world.admin(DeleteBlockRequest(block_id=block_id))
    lifted: Block = response.block
    return lifted


async def shown(world: World, **fields: Any) -> list[Block]:
    return list((await world.admin(ListBlocksRequest(**fields))).blocks)


def blocked(world: World) -> dict[int, int]:
    """Who is blocked in the live store: user id → until_ms."""
    return world.pools.blocked


async def test_block_holds_in_every_activity_at_once(world: World) -> None:
    """Whatever its phase, as long as it may draw."""
    mallory = await world.user("mallory")
    await world.activity()
    await world.activity(start_time=in_seconds(600))
    await world.activity(status="paused")
    await world.activity(start_time=in_seconds(-60), end_time=in_seconds(-1))
    created = await block(world, mallory, reason="robot")
    assert {mallory: 0} == blocked(world)
    assert (mallory, "mallory", "robot", True, False) == (
        created.user_id,
        created.username,
        created.reason,
        created.is_active,
        created.HasField("until"),
    )


async def test_block_needs_no_activity(world: World) -> None:
    """A user can be blocked before there is anything to draw."""
    mallory = await world.user("mallory")
    assert (await block(world, mallory)).is_active


async def test_block_until_a_moment_tells_the_live_store(world: World) -> None:
    """The store lets it run out by itself."""
    mallory, until = await world.user("mallory"), in_seconds(600)
    await world.activity()
    assert until == (await block(world, mallory, until=until)).until
    assert {mallory: until.ToMilliseconds()} == blocked(world)


async def test_block_is_one_write_however_many_pools_there_are(world: World) -> None:
    """It takes the same with two thousand, and pausing one of them meanwhile waits for nobody."""
    mallory = await world.user("mallory")
    activity = await world.activity()
    await world.postgres.execute(
        "INSERT INTO pools (id, mode, seed_commitment)"
        " SELECT 10 + n, 'tickets', decode(repeat('01', 32), 'hex')"
        " FROM generate_series(1, 2000) AS n"
    )
    world.pools.hold = asyncio.Event()
    blocking = asyncio.create_task(block(world, mallory))
    await world.pools.held.wait()
    world.pools.held.clear()
    pausing = asyncio.create_task(
        world.admin(UpdateActivityRequest(activity_id=activity.activity_id, status="paused"))
    )
    await asyncio.wait_for(world.pools.held.wait(), 5)  # it publishes, beside the block
    world.pools.hold.set()
    await asyncio.gather(blocking, pausing)
    assert (1, {mallory: 0}) == (world.pools.block_calls, blocked(world))


async def test_second_block_takes_the_place_of_the_first(world: World) -> None:
    """One user, one block: its reason and its end are the newest."""
    mallory, until = await world.user("mallory"), in_seconds(600)
    await world.activity()
    first = await block(world, mallory, reason="robot", until=until)
    second = await block(world, mallory, reason="worse")
    assert (first.block_id, "worse", False) == (
        second.block_id,
        second.reason,
        second.HasField("until"),
    )
    assert ([second], {mallory: 0}) == (await shown(world), blocked(world))


async def test_block_after_one_that_ran_out_is_a_new_one(world: World) -> None:
    """The old one is history."""
    mallory = await world.user("mallory")
    first = await block(world, mallory, until=in_seconds(600))
    await world.postgres.execute("UPDATE blocks SET until = now() - interval '1 minute'")
    assert [] == await shown(world)
    second = await block(world, mallory)
    assert first.block_id < second.block_id
    assert [second] == await shown(world)


NO_RANGES = (
    *("example.org", "1.2.3", "1.2.3.4/33", "fe80::1%eth0", " "),
    *("0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/15"),
)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"user_id": 0}, "user_id"),
        ({"user_id": -1}, "user_id"),
        ({"ip": "192.0.2.1", "user_id": 1}, "user_id"),
        *[({"user_id": 0, "ip": text}, "ip") for text in NO_RANGES],
        ({"reason": "a" * 2001}, "reason"),
        ({"reason": "\0"}, "reason"),
        ({"until": Timestamp(seconds=1)}, "until"),
        ({"until": Timestamp(seconds=2**62)}, "until"),
    ],
    ids=repr,
)
async def test_block_is_refused_when_a_field_is_unfit(
    world: World, fields: dict[str, Any], field: str
) -> None:
    """The field is named, and nothing is stored or published."""
    await world.activity()
    given = {"user_id": await world.user("mallory"), **fields}
    rows = await world.dump()
    request = CreateBlockRequest(**given)
    assert ("INVALID_ARGUMENT", {"field": field}) == await failure(world.admin(request))
    assert (rows, {}) == (await world.dump(), blocked(world))


async def test_block_of_an_unknown_user_is_not_found(world: World) -> None:
    """Nobody to block."""
    assert ("NOT_FOUND", {}) == await failure(world.admin(CreateBlockRequest(user_id=99)))


async def test_lift_holds_in_every_activity_at_once(world: World) -> None:
    """The user draws again, and the block is gone from the list."""
    mallory = await world.user("mallory")
    await world.activity()
    await world.activity()
    created = await block(world, mallory)
    lifted = await lift(world, created.block_id)
    assert (created.block_id, False) == (lifted.block_id, lifted.is_active)
    assert ({}, []) == (blocked(world), await shown(world))


async def test_lift_twice_is_once(world: World) -> None:
    """The second time has the same answer and changes nothing."""
    created = await block(world, await world.user("mallory"))
    first = await lift(world, created.block_id)
    rows = await world.dump()
    assert first == await lift(world, created.block_id)
    assert rows == await world.dump()


async def test_lift_repeated_leaves_a_later_block(world: World) -> None:
    """A late retry does not free a user who was blocked again."""
    mallory = await world.user("mallory")
    await world.activity()
    first = await block(world, mallory)
    await lift(world, first.block_id)
    second = await block(world, mallory)
    await lift(world, first.block_id)
    assert ([second], {mallory: 0}) == (await shown(world), blocked(world))


@pytest.mark.parametrize("block_id", [0, -1, 99])
async def test_lift_of_an_unknown_block_is_not_found(world: World, block_id: int) -> None:
    """Any id without a block has the same answer."""
    request = DeleteBlockRequest(block_id=block_id)
    assert ("NOT_FOUND", {}) == await failure(world.admin(request))


async def test_nothing_is_stored_when_the_draw_service_is_away(world: World) -> None:
    """The caller is told to repeat; Postgres keeps what held before."""
    mallory, trudy = await world.user("mallory"), await world.user("trudy")
    await world.activity()
    created = await block(world, mallory)
    rows = await world.dump()
    world.pools.refusal = UnavailableError()
    for request in (CreateBlockRequest(user_id=trudy), DeleteBlockRequest(block_id=1)):
        assert "UNAVAILABLE" == (await failure(world.admin(request)))[0]
    assert rows == await world.dump()
    assert [created] == await shown(world)


async def test_repetition_settles_what_a_failure_left(world: World) -> None:
    """Where the live store was told, and Postgres was not, the repetition makes them agree."""
    mallory = await world.user("mallory")
    blocked(world)[mallory] = 1
    created = await block(world, mallory)
    assert {mallory: 0} == blocked(world)
    blocked(world).clear()
    await block(world, mallory)
    assert {mallory: 0} == blocked(world)
    await lift(world, created.block_id)
    assert {} == blocked(world)


async def test_creation_does_not_wait_for_a_block_that_is_being_set(world: World) -> None:
    """Blocks are no part of a pool."""
    mallory = await world.user("mallory")
    world.pools.hold = asyncio.Event()
    blocking = asyncio.create_task(block(world, mallory))
    await world.pools.held.wait()
    world.pools.held.clear()
    creation = asyncio.create_task(world.admin(CreateActivityRequest(name="Spring")))
    await asyncio.wait_for(world.pools.held.wait(), 5)
    world.pools.hold.set()
    await asyncio.gather(creation, blocking)


async def test_user_is_blocked_by_name(world: World) -> None:
    """Whatever its case; one of user_id, username and ip, and of what exists."""
    mallory = await world.user("Mallory")
    created = (await world.admin(CreateBlockRequest(username="mallory"))).block
    assert (mallory, {mallory: 0}) == (created.user_id, blocked(world))
    unknown = CreateBlockRequest(username="trudy")
    assert ("NOT_FOUND", {}) == await failure(world.admin(unknown))
    for request in (CreateBlockRequest(), CreateBlockRequest(user_id=mallory, username="mallory")):
        assert ("INVALID_ARGUMENT", {"field": "user_id"}) == await failure(world.admin(request))


async def test_creations_do_not_wait_for_each_other(world: World) -> None:
    """Only blocks hold them up."""
    world.pools.hold = asyncio.Event()
    first = asyncio.create_task(world.admin(CreateActivityRequest(name="Spring")))
    await world.pools.held.wait()
    world.pools.held.clear()
    second = asyncio.create_task(world.admin(CreateActivityRequest(name="Summer")))
    await asyncio.wait_for(world.pools.held.wait(), 5)
    world.pools.hold.set()
    await asyncio.gather(first, second)


async def test_blocks_of_one_user_race_to_one_block(world: World) -> None:
    """Ten at once: one row, and the store agrees with it."""
    mallory = await world.user("mallory")
    await world.activity()
    untils = [in_seconds(600 + n) for n in range(10)]
    await asyncio.gather(*(block(world, mallory, until=until) for until in untils))
    (last,) = await shown(world)
    assert {mallory: last.until.ToMilliseconds()} == blocked(world)


async def test_list_is_newest_first_in_pages(world: World) -> None:
    """Pages join up, and the last one says so."""
    ids = [(await block(world, await world.user(f"user{n}"))).block_id for n in range(3)]
    pages = [await world.admin(ListBlocksRequest(page=n, page_size=2)) for n in (1, 2)]
    assert [[ids[2], ids[1]], [ids[0]]] == [[b.block_id for b in page.blocks] for page in pages]
    assert [True, False] == [page.has_more for page in pages]


async def test_list_of_one_user_is_theirs(world: World) -> None:
    """Whether somebody is blocked is one call."""
    mallory, trudy = await world.user("mallory"), await world.user("trudy")
    created = await block(world, mallory)
    await block(world, trudy)
    assert [created] == await shown(world, user_id=mallory)


async def test_blocks_are_in_the_audit_log(world: World) -> None:
    """Who blocked whom, why, and who lifted it."""
    mallory, until = await world.user("mallory"), in_seconds(600)
    created = await block(world, mallory, reason="robot", until=until)
    await lift(world, created.block_id)
    entries = (await world.admin(ListAuditLogRequest())).entries
    subject = f"block:{created.block_id}"
    assert [("boss", "block.delete", subject), ("boss", "block.create", subject)] == [
        (entry.username, entry.action, entry.subject) for entry in entries
    ]
    detail = json.loads(entries[1].detail)
    assert (mallory, "robot") == (detail["user_id"], detail["reason"])
    assert detail["until"].endswith("+00:00")
    assert {"from": True, "to": False} == json.loads(entries[0].detail)["is_active"]


async def test_block_in_the_place_of_another_is_told_from_what_to_what(world: World) -> None:
    """What an operator wrote is not lost when the next one writes over it."""
    mallory = await world.user("mallory")
    for reason in ("robot", "owner asked for it"):
        await block(world, mallory, reason=reason)
    entry = (await world.admin(ListAuditLogRequest())).entries[0]
    change = {"reason": {"from": "robot", "to": "owner asked for it"}}
    assert ("block.update", {"user_id": mallory, **change}) == (
        entry.action,
        json.loads(entry.detail),
    )


@pytest.mark.parametrize("role", ["user", "service"])
async def test_only_the_admin_role_blocks(world: World, role: str) -> None:
    """Nobody else reads or writes here."""
    caller = Caller(world.channel, world.auth.token(2, "mallory", role))
    for request in (CreateBlockRequest(user_id=1), ListBlocksRequest(), DeleteBlockRequest()):
        assert "PERMISSION_DENIED" == (await failure(caller(request)))[0]


NORMALISED = {
    "203.0.113.7": ("203.0.113.7", "203.0.113.7/32"),
    "203.0.113.7/24": ("203.0.113.0/24", "203.0.113.0/24"),
    "::ffff:203.0.113.8": ("203.0.113.8", "203.0.113.8/32"),
    "2001:DB8:0::/32": ("2001:db8::/32", "2001:db8::/32"),
    "2001:db8::1": ("2001:db8::1", "2001:db8::1/128"),
}


async def test_block_of_addresses_holds_until_it_is_lifted(world: World) -> None:
    """However they are written; a range, like a user, has one block."""
    for written, (shown_as, _) in NORMALISED.items():
        created = await block(world, 0, ip=written, reason="robots")
        assert (shown_as, 0, "", True) == (
            created.ip,
            created.user_id,
            created.username,
            created.is_active,
        )
    told = {network: 0 for _, network in NORMALISED.values()}
    assert told == world.pools.blocked_networks
    listed = await shown(world)
    assert [text for text, _ in reversed(NORMALISED.values())] == [one.ip for one in listed]
    until = in_seconds(600)
    again = await block(world, 0, ip="203.0.113.0/24", until=until)
    assert again.block_id == listed[-2].block_id
    assert until.ToMilliseconds() == world.pools.blocked_networks["203.0.113.0/24"]
    assert not (await lift(world, again.block_id)).is_active
    assert "203.0.113.0/24" not in world.pools.blocked_networks
    assert again.block_id not in [one.block_id for one in await shown(world)]
    entry = (await world.admin(ListAuditLogRequest())).entries[0]
    assert ("block.delete", "203.0.113.0/24") == (entry.action, json.loads(entry.detail)["ip"])


async def test_ranges_that_are_blocked_are_bounded(world: World) -> None:
    """Ten thousand; those that have run out do not count, and one of them may be set again."""
    await world.postgres.execute(
        "INSERT INTO blocks (network, reason, created_by)"
        " SELECT set_masklen('10.0.0.0'::cidr + n, 32), '', 1 FROM generate_series(0, 9999) AS n"
    )
    refused = await failure(block(world, 0, ip="192.0.2.1"))
    assert ("INVALID_ARGUMENT", {"field": "ip"}) == refused
    assert "10.0.0.1" == (await block(world, 0, ip="10.0.0.1")).ip
    await world.postgres.execute("UPDATE blocks SET until = now() WHERE network = '10.0.0.2'")
    assert "192.0.2.1" == (await block(world, 0, ip="192.0.2.1")).ip
