"""Draw tickets on the wire: who gets one when, and what draws with it."""

import time
from typing import Any

import asyncpg
from kuji.draw.v1 import draw_pb2, pool_pb2
from kuji.puzzle import solve
from redis.asyncio import Redis

from services.draw.lottery.draw_tickets import LIFE_MS, TicketSeal, solved_bits
from tests.support.admin import failure
from tests.support.draw_service import Activity, Caller, World, open_world, told
from tests.support.draws import CODE_KEY

SURE = 1_000_000_000
OTHER_KEY = "0c" * 32
DIFFICULTY = 6
SEAL = TicketSeal([CODE_KEY])


async def guarded(world: World, difficulty: int = DIFFICULTY, spread_ms: int = 0) -> Activity:
    """An activity that asks for tickets."""
    policy = pool_pb2.TicketPolicy(required=True, difficulty=difficulty, spread_ms=spread_ms)
    return await world.activity((100, SURE), draw_tickets=policy)


async def issue(caller: Caller, activity: Activity) -> Any:
    return await caller(draw_pb2.IssueTicketRequest(activity_id=activity.activity_id))


def draw(issued: Any, activity_id: int = 0, **fields: Any) -> draw_pb2.DrawRequest:
    """The draw with a ticket and its solution."""
    solution = solve(issued.ticket, issued.difficulty)
    given = {"ticket": issued.ticket, "solution": solution, "activity_id": activity_id, **fields}
    return draw_pb2.DrawRequest(**given)


async def made(world: World, activity: Activity, user_id: int, **changes: int) -> Any:
    """A genuine ticket that says something else than one that is issued now."""
    issued = await issue(world.user(user_id), activity)
    claims = SEAL.read(user_id, issued.ticket)._replace(**changes)
    issued.ticket = SEAL.issue(user_id, claims)
    return issued


async def test_ticket_draws_once_and_then_replays(world: World) -> None:
    """E, X2: it is the draw's request id; a retry needs no solution, and names no activity."""
    activity = await guarded(world)
    user, before_ms = world.user(7), time.time() * 1000
    issued = await issue(user, activity)
    assert DIFFICULTY == issued.difficulty
    not_before_ms = issued.not_before.ToMilliseconds()
    assert before_ms - 1 <= not_before_ms <= time.time() * 1000
    assert not_before_ms + LIFE_MS == issued.expires_at.ToMilliseconds()
    first = (await user(draw(issued))).result
    assert (f"{activity.pool_id}-1", False) == (first.draw_id, first.replayed)
    assert issued.ticket == first.request_id
    retries = [
        draw(issued),
        draw_pb2.DrawRequest(ticket=issued.ticket),
        draw(issued, activity.activity_id, request_id=issued.ticket),
        draw_pb2.DrawRequest(request_id=issued.ticket),
        draw_pb2.DrawRequest(request_id=issued.ticket, activity_id=activity.activity_id),
    ]
    for retry in retries:
        again = (await user(retry)).result
        assert (first.draw_id, first.prize, True) == (again.draw_id, again.prize, again.replayed)
    assert [99] == await world.left(activity)


async def test_nothing_is_drawn_with_less_than_a_good_ticket(world: World) -> None:
    """E: none, forged, somebody else's, of another activity, unsolved, stale, early."""
    activity, other = await guarded(world), await guarded(world)
    me, activity_id = world.user(7), activity.activity_id
    good, foreign = await issue(me, activity), await issue(world.user(8), activity)
    elsewhere = await issue(me, other)
    now_ms = good.not_before.ToMilliseconds()
    stale = await made(world, activity, 7, expires_ms=now_ms - 1, not_before_ms=now_ms - 30_001)
    hoarded = await made(world, activity, 7, opening_ms=now_ms - 3_600_000)
    early = await made(
        world, activity, 7, not_before_ms=now_ms + 60_000, expires_ms=now_ms + 90_000
    )
    forged = draw(good, activity_id)
    forged.ticket = ("B" if good.ticket[0] == "A" else "A") + good.ticket[1:]
    puzzle = ("PUZZLE_UNSOLVED", {"difficulty": str(DIFFICULTY)})
    unsolved = next(s for s in map(str, range(1000)) if _fails(good.ticket, s))
    asked = {
        "none": (draw_pb2.DrawRequest(activity_id=activity_id), ("TICKET_REQUIRED", {})),
        "named": (
            draw_pb2.DrawRequest(activity_id=activity_id, request_id="mine"),
            ("TICKET_REQUIRED", {}),
        ),
        "forged": (forged, ("TICKET_INVALID", {})),
        "no ticket": (draw_pb2.DrawRequest(ticket="x" * 65), ("TICKET_INVALID", {})),
        "somebody else's": (draw(foreign), ("TICKET_INVALID", {})),
        "elsewhere": (draw(elsewhere, activity_id), ("TICKET_INVALID", {})),
        "no solution": (draw_pb2.DrawRequest(ticket=good.ticket), puzzle),
        "wrong": (draw_pb2.DrawRequest(ticket=good.ticket, solution=unsolved), puzzle),
        "stale": (draw(stale), ("TICKET_EXPIRED", {})),
        "hoarded": (draw(hoarded), ("TICKET_EXPIRED", {})),
        "two names": (draw(good, request_id="mine"), ("INVALID_ARGUMENT", {"field": "request_id"})),
        "lone solution": (
            draw_pb2.DrawRequest(activity_id=activity_id, solution="1f"),
            ("INVALID_ARGUMENT", {"field": "solution"}),
        ),
    }
    refused = {name: await failure(me(request)) for name, (request, _) in asked.items()}
    assert {name: expected for name, (_, expected) in asked.items()} == refused
    reason, metadata = await failure(me(draw(early)))
    assert "COOLDOWN" == reason
    assert 0 < int(metadata["retry_after_ms"]) <= 60_000
    assert [100] == await world.left(activity)
    assert not (await me(draw(good))).result.replayed


def _fails(ticket: str, solution: str) -> bool:
    return solved_bits(ticket, solution) < DIFFICULTY


async def test_ticket_is_issued_only_while_the_activity_draws(world: World) -> None:
    """E: nothing can be collected before the opening, and a pause makes worthless what was."""
    activity = await guarded(world)
    user = world.user(7)
    before = await issue(user, activity)
    activity.config.status = pool_pb2.POOL_STATUS_PAUSED
    await world.publish(activity)
    refused = ("ACTIVITY_NOT_ONGOING", {"status": "paused"})
    assert refused == await failure(issue(user, activity))
    assert refused == await failure(user(draw(before)))
    activity.config.status = pool_pb2.POOL_STATUS_OPEN
    await world.publish(activity)
    assert ("TICKET_EXPIRED", {}) == await failure(user(draw(before)))
    assert not (await user(draw(await issue(user, activity)))).result.replayed
    activity.config.status = pool_pb2.POOL_STATUS_ENDED
    await world.publish(activity)
    ended = ("ACTIVITY_NOT_ONGOING", {"status": "ended"})
    assert ended == await failure(issue(user, activity))
    planned = await world.activity((1, SURE), start_ms=int(time.time() * 1000) + 3_600_000)
    ahead = ("ACTIVITY_NOT_ONGOING", {"status": "planned"})
    assert ahead == await failure(issue(user, planned))
    nowhere = draw_pb2.IssueTicketRequest(activity_id=4711)
    assert ("ACTIVITY_NOT_FOUND", {}) == await failure(user(nowhere))


async def test_services_draw_without_tickets(world: World) -> None:
    """They answer for the users that they name; one that shows a ticket is held to it."""
    activity = await guarded(world)
    service = world.service()
    request = draw_pb2.IssueTicketRequest(activity_id=activity.activity_id)
    assert "PERMISSION_DENIED" == (await failure(service(request)))[0]
    outcomes = await service.batch((activity.activity_id, 1, "a"), (activity.activity_id, 2, "b"))
    assert [f"{activity.pool_id}-{seq}" for seq in (1, 2)] == [told(one) for one in outcomes]
    assert not (await service.draw(activity.activity_id, "c", user_id=3)).replayed
    shown = draw(await issue(world.user(4), activity), user_id=4)
    assert f"{activity.pool_id}-4" == (await service(shown)).result.draw_id
    foreign = draw(await issue(world.user(4), activity), user_id=5)
    assert ("TICKET_INVALID", {}) == await failure(service(foreign))


async def test_policy_changes_while_the_activity_runs(world: World) -> None:
    """L2: a requirement holds for the very next draw, a puzzle for the tickets issued from then."""
    activity = await world.activity((100, SURE))
    user = world.user(7)
    unasked = await issue(user, activity)
    assert 0 == unasked.difficulty
    await user.draw(activity.activity_id, "a")
    activity.config.draw_tickets.required = True
    activity.config.draw_tickets.difficulty = 9
    await world.publish(activity)
    assert ("TICKET_REQUIRED", {}) == await failure(user.draw(activity.activity_id, "b"))
    assert not (await user(draw(unasked))).result.replayed
    harder = await issue(user, activity)
    assert 9 == harder.difficulty
    assert not (await user(draw(harder))).result.replayed
    activity.config.ClearField("draw_tickets")
    await world.publish(activity)
    assert not (await user.draw(activity.activity_id, "b")).replayed
    assert [96] == await world.left(activity)


async def test_first_tickets_of_an_opening_are_spread(world: World) -> None:
    """An opening is not one spike: starts lie within the spread, and are told."""
    activity = await guarded(world, 0, spread_ms=3_600_000)
    first = [(await issue(world.user(user), activity)) for user in range(1, 40)]
    again = [(await issue(world.user(user), activity)) for user in range(1, 40)]
    starts = [one.not_before.ToMilliseconds() for one in first]
    assert starts == [one.not_before.ToMilliseconds() for one in again]
    opened = SEAL.read(1, first[0].ticket).opening_ms
    assert all(0 <= start - opened <= 3_600_000 for start in starts)
    assert max(starts) - min(starts) > 1_800_000
    last = max(range(39), key=starts.__getitem__)
    reason, metadata = await failure(world.user(last + 1)(draw(first[last])))
    assert "COOLDOWN" == reason
    assert int(metadata["retry_after_ms"]) <= starts[last] - opened
    activity.config.draw_tickets.spread_ms = 0
    await world.publish(activity)
    assert not (await world.user(1)(draw(await issue(world.user(1), activity)))).result.replayed


async def test_tickets_survive_a_change_of_the_key(
    world: World, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """A process that knows both keys takes the tickets of either."""
    activity = await guarded(world)
    issued = await issue(world.user(7), activity)
    keys = {"code_key": OTHER_KEY, "other_code_key": CODE_KEY}
    async with open_world(postgres, postgres_dsn, redis_url, **keys) as turned:
        first = (await turned.user(7)(draw(issued))).result
        assert not first.replayed
        assert first.draw_id == (await world.user(7)(draw(issued))).result.draw_id
        late = await issue(turned.user(7), activity)
    assert ("TICKET_INVALID", {}) == await failure(world.user(7)(draw(late)))
