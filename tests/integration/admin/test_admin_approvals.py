"""A second person's approval: what waits for it, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kuji.admin.v1 import admin_pb2, approvals_pb2, goods_pb2

from services.common.errors import UnavailableError
from tests.support.admin import Caller, World, failure, open_world


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service that asks for a second person; two changes may wait."""
    async with open_world(postgres, postgres_dsn, second_person=True, max_approvals=2) as opened:
        yield opened


async def operator(world: World, name: str) -> Caller:
    """Somebody with the role, in the database too."""
    user_id = await world.user(name)
    await world.postgres.execute("UPDATE users SET role = 'operator' WHERE id = $1", user_id)
    return Caller(world.channel, world.auth.token(user_id, name, "operator"))


@pytest.fixture
async def alice(world: World) -> Caller:
    """Who asks."""
    return await operator(world, "alice")


@pytest.fixture
async def bob(world: World) -> Caller:
    """Who approves."""
    return await operator(world, "bob")


async def running(world: World) -> admin_pb2.Prize:
    """A prize of an activity that has begun: made before, so that nobody had to approve it."""
    activity = await world.activity(start_time=_at(hours=1), end_time=_at(hours=2))
    prize = await world.prize(activity.activity_id)
    await world.admin(
        admin_pb2.UpdateActivityRequest(activity_id=activity.activity_id, status="ongoing")
    )
    return prize


def _at(**ahead: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + timedelta(**ahead))
    return moment


async def held(call: Any) -> int:
    """The id of what waits, where *call* has to."""
    reason, metadata = await failure(call)
    assert "APPROVAL_PENDING" == reason
    return int(metadata["approval_id"])


def approve(approval_id: int) -> approvals_pb2.ApproveChangeRequest:
    return approvals_pb2.ApproveChangeRequest(approval_id=approval_id)


def reject(approval_id: int) -> approvals_pb2.RejectChangeRequest:
    return approvals_pb2.RejectChangeRequest(approval_id=approval_id)


async def likelier(world: World, by: Caller, probability: float = 0.2) -> int:
    """A change of a running prize's odds that waits."""
    prize_id = await world.postgres.fetchval("SELECT max(id) FROM prizes")
    request = admin_pb2.UpdatePrizeRequest(prize_id=prize_id, probability=probability)
    return await held(by(request))


async def ppb(world: World) -> int:
    """The odds as stored."""
    return int(await world.postgres.fetchval("SELECT probability_ppb FROM prizes"))


async def status(world: World) -> str:
    """Of the newest approval."""
    shown = (await world.admin(approvals_pb2.ListApprovalsRequest())).approvals
    return str(shown[0].status)


async def test_odds_of_a_running_activity_change_once_another_approves(
    world: World, alice: Caller, bob: Caller
) -> None:
    """Nothing before; asked for twice it waits once; not by the same person; done once, audited."""
    await running(world)
    approval_id = await likelier(world, alice)
    assert approval_id == await likelier(world, alice)
    assert (100_000_000, "pending") == (await ppb(world), await status(world))
    assert "PERMISSION_DENIED" == (await failure(alice(approve(approval_id))))[0]
    done = (await bob(approve(approval_id))).approval
    assert ("approved", "alice", "bob") == (done.status, done.requested_by, done.decided_by)
    change = {"probability_ppb": {"from": 100_000_000, "to": 200_000_000}}
    assert (200_000_000, change) == (await ppb(world), json.loads(done.detail))
    assert ("CONFLICT", "approved") == _decided(await failure(bob(approve(approval_id))))
    entries = (await world.admin(admin_pb2.ListAuditLogRequest(page_size=3))).entries
    assert [
        ("alice", "prize.update"),
        ("bob", "approval.approved"),
        ("alice", "approval.request"),
    ] == [(entry.username, entry.action) for entry in entries]
    approval = {"approval_id": approval_id, "approved_by": "bob"}
    assert {**change, **approval} == json.loads(entries[0].detail)


def _decided(failed: tuple[str, dict[str, str]]) -> tuple[str, str]:
    reason, metadata = failed
    return reason, metadata.get("status", "")


async def test_what_was_edited_meanwhile_is_outdated(
    world: World, alice: Caller, bob: Caller
) -> None:
    """What the second person looked at is what is done, or nothing is."""
    prize = await running(world)
    approval_id = await likelier(world, alice)
    await bob(admin_pb2.UpdatePrizeRequest(prize_id=prize.prize_id, name="Big bear"))
    reason, metadata = await failure(bob(approve(approval_id)))
    assert ("CONFLICT", "Big bear") == (reason, json.loads(metadata["current"])["name"])
    assert (100_000_000, "outdated") == (await ppb(world), await status(world))


async def test_approval_and_change_are_one(world: World, alice: Caller, bob: Caller) -> None:
    """Where the change fails it still waits; of two who approve at once, one does it."""
    await running(world)
    approval_id = await likelier(world, alice)
    world.pools.refusal = UnavailableError()
    assert "UNAVAILABLE" == (await failure(bob(approve(approval_id))))[0]
    assert (100_000_000, "pending") == (await ppb(world), await status(world))
    world.pools.refusal = None
    calls = (caller(approve(approval_id)) for caller in (bob, await operator(world, "carol")))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert [grpc.StatusCode.ABORTED] == [error.code() for error in failed]
    assert (200_000_000, "approved") == (await ppb(world), await status(world))


async def test_so_many_wait_and_so_long(world: World, alice: Caller, bob: Caller) -> None:
    """One more is refused; what has expired makes room, and cannot be approved."""
    await running(world)
    first = await likelier(world, alice, 0.2)
    await likelier(world, alice, 0.3)
    prize_id = await world.postgres.fetchval("SELECT id FROM prizes")
    third = admin_pb2.UpdatePrizeRequest(prize_id=prize_id, probability=0.4)
    assert "OVERLOADED" == (await failure(alice(third)))[0]
    await world.postgres.execute("UPDATE approvals SET expires_at = now() WHERE id = $1", first)
    assert ("CONFLICT", "expired") == _decided(await failure(bob(approve(first))))
    await held(alice(third))
    waiting = await world.admin(approvals_pb2.ListApprovalsRequest(status="pending", page_size=1))
    expired = await world.admin(approvals_pb2.ListApprovalsRequest(status="expired"))
    assert (1, True) == (len(waiting.approvals), waiting.has_more)
    assert [first] == [approval.approval_id for approval in expired.approvals]


async def test_change_is_dropped(world: World, alice: Caller, bob: Caller) -> None:
    """Withdrawn by whoever asked, rejected by another; again is the same, and it is never done."""
    await running(world)
    for caller, becomes in ((alice, "withdrawn"), (bob, "rejected")):
        approval_id = await likelier(world, alice)
        for _ in range(2):
            assert becomes == (await caller(reject(approval_id))).approval.status
        assert ("CONFLICT", becomes) == _decided(await failure(bob(approve(approval_id))))
    assert 100_000_000 == await ppb(world)
    assert "NOT_FOUND" == (await failure(bob(approve(77))))[0]
    approval_id = await likelier(world, alice)
    await bob(approve(approval_id))
    assert ("CONFLICT", "approved") == _decided(await failure(bob(reject(approval_id))))


@pytest.mark.parametrize("change", ["role = 'viewer'", "deactivated_at = now()"])
async def test_who_may_not_any_more_has_asked_for_nothing(
    world: World, alice: Caller, bob: Caller, change: str
) -> None:
    """A role that was taken takes with it what waits."""
    await running(world)
    approval_id = await likelier(world, alice)
    await world.postgres.execute(f"UPDATE users SET {change} WHERE username = 'alice'")
    assert "CONFLICT" == (await failure(bob(approve(approval_id))))[0]
    assert (100_000_000, "pending") == (await ppb(world), await status(world))


async def test_what_cannot_be_undone_waits(world: World, alice: Caller, bob: Caller) -> None:
    """Each kind of it, and each is done once it is approved."""
    prize = await running(world)
    of, user_id = prize.activity_id, await world.user("carol")
    goods = await world.goods()
    await world.item(await world.shang(goods.goods_id), stock=3)
    update = admin_pb2.UpdateActivityRequest
    for request in (
        admin_pb2.CreatePrizeRequest(activity_id=of, name="Cat", total_count=1, probability=0.1),
        admin_pb2.UpdatePrizeRequest(prize_id=prize.prize_id, total_count=6),
        admin_pb2.UpdatePrizeRequest(prize_id=prize.prize_id, is_enabled=False),
        admin_pb2.DeletePrizeRequest(prize_id=prize.prize_id),
        update(activity_id=of, end_time=_at(minutes=5)),
        update(activity_id=of, status="ended"),
        goods_pb2.OpenBoxesRequest(goods_id=goods.goods_id, count=1),
        goods_pb2.IssueItemCardsRequest(user_id=user_id, count=1),
        goods_pb2.UpdateGoodsRequest(goods_id=goods.goods_id, is_ended=True),
    ):
        if isinstance(request, admin_pb2.DeletePrizeRequest):
            await bob(admin_pb2.UpdatePrizeRequest(prize_id=prize.prize_id, name="Bear, plush"))
            await _enable(world, prize.prize_id)
        rows = {**await world.dump(), "audit_log": []}
        approval_id = await held(alice(request))
        assert rows == {**await world.dump(), "audit_log": []}
        assert "approved" == (await bob(approve(approval_id))).approval.status
        assert rows != {**await world.dump(), "audit_log": []}


async def _enable(world: World, prize_id: int) -> None:
    await world.postgres.execute("UPDATE prizes SET is_enabled = true WHERE id = $1", prize_id)


async def test_everything_else_is_done_at_once(world: World, alice: Caller) -> None:
    """What can be undone, and what concerns nobody yet; a pause above all."""
    planned = await world.activity(start_time=_at(hours=1))
    other = await world.prize(planned.activity_id)
    await alice(admin_pb2.UpdatePrizeRequest(prize_id=other.prize_id, probability=0.5))
    await alice(admin_pb2.DeletePrizeRequest(prize_id=other.prize_id))
    prize = await running(world)
    update = admin_pb2.UpdateActivityRequest
    for request in (
        admin_pb2.UpdatePrizeRequest(prize_id=prize.prize_id, name="Big bear"),
        update(activity_id=prize.activity_id, cooldown_seconds=5),
        update(activity_id=prize.activity_id, end_time=_at(hours=9)),
        update(activity_id=prize.activity_id, status="paused"),
    ):
        await alice(request)
    # Who has drawn, has drawn by these odds, though nobody does at this moment.
    await likelier(world, alice)
