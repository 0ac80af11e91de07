"""What holds when publishing goes wrong; who may change, and what the audit log says of it."""

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import grpc
import pytest
from kuji.admin.v1.admin_pb2 import (
    CreateActivityRequest,
    CreatePrizeRequest,
    DeletePrizeRequest,
    ListActivitiesRequest,
    ListAuditLogRequest,
    UpdateActivityRequest,
    UpdatePrizeRequest,
)

from services.common.errors import (
    ConflictError,
    InvalidArgumentError,
    KujiError,
    OverloadedError,
    PoolNotLoadedError,
    UnauthenticatedError,
    UnavailableError,
)
from tests.support.admin import Caller, World, failure, open_world

CATCH_UP_S = 1.0


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service that waits a second for the recorder."""
    async with open_world(postgres, postgres_dsn, catch_up_timeout_s=CATCH_UP_S) as opened:
        yield opened


async def message_of(call: object) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value.details() or ""


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (PoolNotLoadedError(), "POOL_NOT_LOADED"),
        (OverloadedError(), "OVERLOADED"),
        (InvalidArgumentError("prizes", "Too many."), "INVALID_ARGUMENT"),
        (UnavailableError(), "UNAVAILABLE"),
        (KujiError(), "INTERNAL"),
    ],
)
async def test_refused_publication_changes_nothing(
    world: World, refusal: KujiError, reason: str
) -> None:
    """Whatever the live store answers, Postgres keeps what held before."""
    activity = await world.activity()
    prize = await world.prize(activity.activity_id)
    rows = await world.dump()
    world.pools.refusal = refusal
    for request in (
        UpdateActivityRequest(activity_id=activity.activity_id, status="paused"),
        CreatePrizeRequest(activity_id=activity.activity_id, name="Cat", total_count=1),
        UpdatePrizeRequest(prize_id=prize.prize_id, total_count=9),
        DeletePrizeRequest(prize_id=prize.prize_id),
        CreateActivityRequest(name="Second"),
    ):
        assert reason == (await failure(world.admin(request)))[0]
    assert rows == await world.dump()


async def test_unknown_outcome_rolls_back_and_says_so(world: World) -> None:
    """The live store may have the change; Postgres has not, and the caller is told to look."""
    activity = await world.activity()
    rows = await world.dump()
    world.pools.answers_lost = 1
    request = UpdateActivityRequest(activity_id=activity.activity_id, cooldown_seconds=9)
    assert "may have been applied" in await message_of(world.admin(request))
    assert rows == await world.dump()


async def test_draw_service_away_is_an_unknown_outcome(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """A call that runs out of time rolls back."""
    async with open_world(postgres, postgres_dsn, publish_timeout_s=0.3) as world:
        activity = await world.activity()
        rows = await world.dump()
        gate = asyncio.Event()
        world.pools.hold = gate
        request = UpdateActivityRequest(activity_id=activity.activity_id, name="Late")
        assert "may have been applied" in await message_of(world.admin(request))
        gate.set()
        assert rows == await world.dump()


async def test_conflict_is_the_caller_s_when_the_recorder_stays_behind(world: World) -> None:
    """With the live store ahead and nobody to repair, the change is refused, not forced."""
    activity = await world.activity()
    live = world.pools.pools[activity.pool_id]
    live.version += 1000
    rows = await world.dump()
    request = UpdateActivityRequest(activity_id=activity.activity_id, name="Late")
    assert ("CONFLICT", {}) == await failure(world.admin(request))
    assert rows == await world.dump()
    assert live.version == rows["pools"][0][3] + 1000


async def test_conflict_is_settled_when_the_recorder_catches_up(world: World) -> None:
    """A change that meets an unrepaired crash waits for the repair and then goes through."""
    activity = await world.activity()
    world.pools.answers_lost = 1
    lost = UpdateActivityRequest(activity_id=activity.activity_id, cooldown_seconds=9)
    await failure(world.admin(lost))
    live = world.pools.pools[activity.pool_id]
    change = asyncio.create_task(
        world.admin(UpdateActivityRequest(activity_id=activity.activity_id, name="Late"))
    )
    await world.pools.refused.wait()
    await world.postgres.execute("UPDATE activities SET cooldown_seconds = 9")
    await world.postgres.execute("UPDATE pools SET version = $1", live.version)
    answer = (await change).activity
    assert (answer.name, answer.cooldown_seconds) == ("Late", 9)
    assert live.config.limits.cooldown_ms == 9000
    assert live.version == await world.postgres.fetchval("SELECT version FROM pools")


async def test_conflict_twice_is_the_caller_s(world: World) -> None:
    """One wait, not an endless one."""
    activity = await world.activity()
    world.pools.refusal = ConflictError()
    change = asyncio.create_task(
        world.admin(UpdateActivityRequest(activity_id=activity.activity_id, name="Late"))
    )
    await world.pools.refused.wait()
    await world.postgres.execute("UPDATE pools SET version = version + 1000")
    assert ("CONFLICT", {}) == await failure(change)


async def test_concurrent_changes_all_hold(world: World) -> None:
    """Edits of one activity pass one after the other; none is lost, each has its version."""
    activity = await world.activity()
    prizes = [await world.prize(activity.activity_id, probability=0.01) for _ in range(8)]
    await asyncio.gather(
        *(world.admin(UpdatePrizeRequest(prize_id=p.prize_id, total_count=50)) for p in prizes)
    )
    live = world.pools.pools[activity.pool_id]
    assert live.units == {prize.prize_id: 50 for prize in prizes}
    assert live.version == await world.postgres.fetchval("SELECT version FROM pools")


async def test_service_token_is_fetched_once(world: World) -> None:
    """Many calls, one token."""
    for _ in range(3):
        await world.activity()
    assert world.auth.service_tokens == 1


async def test_service_token_is_renewed_before_it_expires(world: World) -> None:
    """A token past most of its life is replaced without a failed call."""
    world.auth.expires_in = 0
    await world.activity()
    issued = world.auth.service_tokens
    await world.activity()
    assert world.auth.service_tokens > issued


async def test_service_token_is_replaced_when_it_is_refused(world: World) -> None:
    """A token whose key was withdrawn costs a second call, not an error."""
    await world.activity()
    world.pools.refuse_once = UnauthenticatedError()
    assert (await world.activity(name="Second")).name == "Second"
    assert world.auth.service_tokens == 2


async def test_wrong_service_secret_changes_nothing(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """A misconfigured process is a defect that the caller learns nothing of."""
    async with open_world(postgres, postgres_dsn, service_secret="wrong") as world:
        reason, metadata = await failure(world.admin(CreateActivityRequest(name="Spring")))
        assert (reason, set(metadata)) == ("INTERNAL", {"trace_id"})
        assert not any((await world.dump()).values())


@pytest.mark.parametrize(
    ("role", "reason"),
    [(None, "UNAUTHENTICATED"), ("user", "PERMISSION_DENIED"), ("service", "PERMISSION_DENIED")],
)
async def test_only_the_admin_role_may(world: World, role: str | None, reason: str) -> None:
    """Nobody else reads or writes here."""
    token = None if role is None else world.auth.token(2, "mallory", role)
    caller = Caller(world.channel, token)
    for request in (CreateActivityRequest(name="Mine"), ListActivitiesRequest()):
        assert reason == (await failure(caller(request)))[0]
    assert not any((await world.dump()).values())


async def test_audit_log_tells_who_changed_what(world: World) -> None:
    """Each change has one entry, newest first, with what it was and what it became."""
    activity = await world.activity(cooldown_seconds=5)
    prize = await world.prize(activity.activity_id)
    await world.admin(
        UpdateActivityRequest(activity_id=activity.activity_id, cooldown_seconds=7, name="Spring")
    )
    await world.admin(UpdatePrizeRequest(prize_id=prize.prize_id, probability=0.2))
    await world.admin(DeletePrizeRequest(prize_id=prize.prize_id))
    entries = (await world.admin(ListAuditLogRequest())).entries
    activity_name, prize_name = f"activity:{activity.activity_id}", f"prize:{prize.prize_id}"
    assert [(entry.username, entry.action, entry.subject) for entry in entries] == [
        ("boss", "prize.delete", prize_name),
        ("boss", "prize.update", prize_name),
        ("boss", "activity.update", activity_name),
        ("boss", "prize.create", prize_name),
        ("boss", "activity.create", activity_name),
    ]
    details = [json.loads(entry.detail) for entry in entries]
    assert details[1] == {"probability_ppb": {"from": 100_000_000, "to": 200_000_000}}
    assert details[2] == {"cooldown_seconds": {"from": 5, "to": 7}}
    assert details[4]["name"] == "Spring"
    # The units of what is deleted become what is won, which the live store says, not its operator.
    assert details[0]["probability_ppb"] == {"from": 200_000_000, "to": None}
    assert details[0]["name"] == {"from": "Bear", "to": None}


async def test_audit_log_comes_in_pages(world: World) -> None:
    """Pages join up."""
    for number in range(3):
        await world.activity(name=f"number {number}")
    pages = [await world.admin(ListAuditLogRequest(page=n, page_size=2)) for n in (1, 2)]
    assert [(len(page.entries), page.has_more) for page in pages] == [(2, True), (1, False)]
