"""Prizes handed out and wins taken away, over gRPC: a real Postgres, live pools in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.admin.v1.admin_pb2 import (
    Activity,
    CreateBlockRequest,
    GetStatisticsRequest,
    ListAuditLogRequest,
    ListUsersRequest,
    Prize,
    UpdateActivityRequest,
)
from kuji.admin.v1.prize_codes_pb2 import (
    DisqualifyDrawRequest,
    GetPrizeCodeRequest,
    RedeemPrizeCodeRequest,
    UndoRedemptionRequest,
    Win,
    WonItem,
)

from tests.support.admin import World, failure, open_world

WON_AT = datetime(2026, 5, 1, 12, 0, 0, 250_000, UTC)
CODE = "1-2-7Q9XK3AB"


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


async def won(world: World, code: str = CODE, seq: int = 2) -> tuple[Activity, Prize, int]:
    """An activity whose draw *seq* won its prize, for a user with an e-mail address."""
    activity = await world.activity()
    prize = await world.prize(activity.activity_id)
    user_id = await world.user("alice")
    await world.postgres.execute("UPDATE accounts SET email = 'alice@example.com'")
    await win(world, activity, prize, user_id, code, seq)
    return activity, prize, user_id


async def win(
    world: World, activity: Activity, prize: Prize, user_id: int, code: str, seq: int
) -> None:
    """One win more, as the recorder leaves it."""
    place = (activity.pool_id, seq, activity.activity_id, user_id, prize.prize_id, prize.name)
    await world.postgres.execute(
        "INSERT INTO winners (win_no, pool_id, pool_win_no, seq, activity_id, user_id, prize_id,"
        " prize_name, prize_code, won_at) VALUES ($2, $1, $2, $2, $3, $4, $5, $6, $7, $8)",
        *(*place, code, WON_AT),
    )
    await world.record(activity.pool_id, prize.prize_id)


async def look_up(world: World, code: str = CODE) -> Win:
    response: Any = await world.admin(GetPrizeCodeRequest(code=code))
    found: Win = response.win
    return found


async def redeem(world: World, note: str = "") -> Win:
    response: Any = await world.admin(RedeemPrizeCodeRequest(code=CODE, note=note))
    redeemed: Win = response.win
    return redeemed


async def disqualify(world: World, activity: Activity, seq: int = 2, **fields: Any) -> Win:
    request = DisqualifyDrawRequest(
        draw_id=f"{activity.pool_id}-{seq}", **{"reason": "robot", **fields}
    )
    response: Any = await world.admin(request)
    taken: Win = response.win
    return taken


async def test_code_tells_who_won_what_when(world: World) -> None:
    """All that is needed at the counter, however the code is typed."""
    activity, prize, user_id = await won(world)
    found = await look_up(world, f" {CODE.lower()} ")
    assert found == await look_up(world)
    assert (CODE, f"{activity.pool_id}-2", activity.activity_id) == (
        found.prize_code,
        found.draw_id,
        found.activity_id,
    )
    assert (user_id, "alice", "alice@example.com") == (found.user_id, found.username, found.email)
    assert WonItem(prize_id=prize.prize_id, name=prize.name) == found.prize
    assert (WON_AT, "open") == (found.won_at.ToDatetime(UTC), found.status)
    assert not found.HasField("redeemed_at")


async def test_unknown_codes_and_draws_are_not_found(world: World) -> None:
    """And a draw that won nothing is told apart from one that is not there."""
    activity, _, user_id = await won(world)
    for request in (
        GetPrizeCodeRequest(code="1-3-AAAAAAAA"),
        RedeemPrizeCodeRequest(code="'; --"),
        UndoRedemptionRequest(code="x" * 64),
        DisqualifyDrawRequest(draw_id=f"{activity.pool_id}-3", reason="robot"),
    ):
        assert ("NOT_FOUND", {}) == await failure(world.admin(request))
    await world.postgres.execute(
        "INSERT INTO lottery_records (pool_id, seq, activity_id, user_id, request_id, draw_index,"
        " draw_count, user_draw_no, version, ticket, odds_weight, odds_total, created_at)"
        " VALUES ($1, 3, $2, $3, 'r', 0, 1, 1, 1, 0, 1, 2, now())",
        *(activity.pool_id, activity.activity_id, user_id),
    )
    miss = DisqualifyDrawRequest(draw_id=f"{activity.pool_id}-3", reason="robot")
    assert ("INVALID_ARGUMENT", {"field": "draw_id"}) == await failure(world.admin(miss))


async def test_prize_is_handed_out_once_when_many_ask_at_once(world: World) -> None:
    """One of eight counters succeeds; the others are told who did it and when."""
    await won(world)
    answers = await asyncio.gather(
        *(redeem(world, note=f"counter {n}") for n in range(8)), return_exceptions=True
    )
    (done,) = [answer for answer in answers if isinstance(answer, Win)]
    refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert 7 == len(refused)
    assert ("redeemed", "boss") == (done.status, done.redeemed_by)
    reason, metadata = await failure(redeem(world))
    assert ("CONFLICT", "redeemed", "boss") == (
        reason,
        metadata["status"],
        metadata["redeemed_by"],
    )
    assert done.redeemed_at.ToDatetime(UTC) == datetime.fromisoformat(metadata["redeemed_at"])
    assert done == await look_up(world)
    (of_prize,) = (await world.admin(GetStatisticsRequest())).activities[0].prizes
    assert (1, 0, 1) == (of_prize.redeemed, of_prize.disqualified, of_prize.won)


async def test_redemption_is_undone_and_audited(world: World) -> None:
    """The code is open again; a second undo changes nothing; the log has each change once."""
    await won(world)
    await redeem(world, note="by post")
    undo = UndoRedemptionRequest(code=CODE)
    undone: Any = await world.admin(undo)
    assert ("open", "") == (undone.win.status, undone.win.note)
    assert undone == await world.admin(undo)
    assert "redeemed" == (await redeem(world)).status
    entries = (await world.admin(ListAuditLogRequest(page_size=3))).entries
    assert ["prize_code.redeem", "prize_code.undo", "prize_code.redeem"] == [
        entry.action for entry in entries
    ]
    details = [json.loads(entry.detail) for entry in entries]
    assert {"from": "", "to": "by post"} == details[2]["note"]
    assert [
        {"from": "open", "to": "redeemed"},
        {"from": "redeemed", "to": "open"},
        {"from": "open", "to": "redeemed"},
    ] == [detail["status"] for detail in details]
    assert {"from": "boss", "to": None} == details[1]["redeemed_by"]


async def test_disqualified_win_is_not_handed_out(world: World) -> None:
    """It stays in the books as won; its code is refused with who took it away, and why."""
    activity, prize, _ = await won(world)
    taken = await disqualify(world, activity)
    assert ("disqualified", "robot", "boss", False) == (
        taken.status,
        taken.reason,
        taken.disqualified_by,
        taken.unit_returned,
    )
    reason, metadata = await failure(redeem(world))
    assert ("CONFLICT", "disqualified") == (reason, metadata["status"])
    assert "CONFLICT" == (await failure(disqualify(world, activity)))[0]
    (of_prize,) = (await world.admin(GetStatisticsRequest())).activities[0].prizes
    assert (0, 1, prize.total_count) == (of_prize.redeemed, of_prize.disqualified, of_prize.total)


async def test_redeemed_win_is_disqualified_only_after_its_redemption_is_undone(
    world: World,
) -> None:
    """What is handed out is gone."""
    activity, _, _ = await won(world)
    await redeem(world)
    rows = await world.dump()
    reason, metadata = await failure(disqualify(world, activity, return_unit=True))
    assert ("CONFLICT", "redeemed") == (reason, metadata["status"])
    assert rows == await world.dump()
    await world.admin(UndoRedemptionRequest(code=CODE))
    assert (await disqualify(world, activity, return_unit=True)).unit_returned


async def test_returned_unit_is_one_more_in_the_ledger_and_names_its_cause(world: World) -> None:
    """The next draw can win it; the configuration says what for; the next one does not."""
    activity, prize, _ = await won(world)
    live = world.pools.pools[activity.pool_id]
    taken = await disqualify(world, activity, return_unit=True)
    assert taken.unit_returned
    assert (prize.total_count + 1, f"disqualification:{activity.pool_id}-2") == (
        live.config.prizes[0].units,
        live.config.cause,
    )
    await world.admin(UpdateActivityRequest(activity_id=activity.activity_id, status="paused"))
    assert (prize.total_count + 1, "") == (
        world.pools.pools[activity.pool_id].config.prizes[0].units,
        world.pools.pools[activity.pool_id].config.cause,
    )


async def test_unit_is_returned_once_when_the_commit_was_lost(world: World) -> None:
    """The ledger knows that it was: the repetition takes the win away and adds no second unit."""
    activity, prize, _ = await won(world)
    await disqualify(world, activity, return_unit=True)
    config = world.pools.pools[activity.pool_id].config
    await world.record_config(activity.pool_id, config)
    await world.postgres.execute("DELETE FROM prize_claims")
    assert (await disqualify(world, activity, return_unit=True)).unit_returned
    units = await world.postgres.fetchval("SELECT total_count FROM prizes")
    assert prize.total_count + 1 == units == config.prizes[0].units


@pytest.mark.parametrize("what", ["deleted", "ended"])
async def test_unit_is_not_returned_to_what_is_over(world: World, what: str) -> None:
    """Then nothing changes; without its unit the win can still be taken away."""
    activity, _, _ = await won(world)
    if what == "ended":
        await world.admin(UpdateActivityRequest(activity_id=activity.activity_id, status="ended"))
    else:
        await world.postgres.execute("UPDATE prizes SET deleted_at = now(), is_enabled = false")
    rows = await world.dump()
    refused = ("INVALID_ARGUMENT", {"field": "return_unit"})
    assert refused == await failure(disqualify(world, activity, return_unit=True))
    assert rows == await world.dump()
    assert "disqualified" == (await disqualify(world, activity)).status


async def test_users_are_found_by_the_beginning_of_name_or_address(world: World) -> None:
    """Whatever the case; % and _ mean themselves; who is blocked is not active."""
    ids = {name: await world.user(name) for name in ("Alice", "alfred", "bob_1", "bobby")}
    await world.postgres.execute("UPDATE accounts SET email = 'AL@x.org' WHERE username = 'bobby'")
    await world.admin(CreateBlockRequest(user_id=ids["alfred"], reason="robot"))

    async def found(q: str, **page: int) -> tuple[list[str], bool]:
        response: Any = await world.admin(ListUsersRequest(q=q, **page))
        return [user.username for user in response.users], response.has_more

    assert (["alfred", "Alice", "bobby"], False) == await found("AL")
    assert (["alfred"], True) == await found("al", page_size=1)
    assert (["bob_1"], False) == await found("bob_")
    assert ([], False) == await found("%")
    assert (["alfred", "Alice", "bob_1", "bobby"], False) == await found("")
    response: Any = await world.admin(ListUsersRequest(q="alfred"))
    (alfred,) = response.users
    assert (ids["alfred"], False) == (alfred.user_id, alfred.is_active)
