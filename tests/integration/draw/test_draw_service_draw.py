"""DrawService.Draw on the wire: who may draw for whom, what is refused, what is answered."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import draw_pb2, pool_pb2
from prometheus_client import REGISTRY

from services.common.server.serve import Front
from tests.support.admin import failure
from tests.support.draw_service import Caller, World, open_world

SURE = 1_000_000_000


@pytest.fixture(params=Front)
async def world(
    request: pytest.FixtureRequest,
    postgres: asyncpg.Pool,
    postgres_dsn: str,
    redis_url: str,
    redis: object,
) -> AsyncIterator[World]:
    """A draw service over an empty Redis and a fresh database."""
    front: Front = request.param
    async with open_world(postgres, postgres_dsn, redis_url, draw_front=front) as world:
        yield world


async def test_user_draws_for_itself(world: World) -> None:
    """The user comes from the token; the result says what was won, at which odds, where."""
    activity = await world.activity((5, SURE))
    (prize,) = activity.config.prizes
    result = await world.user(7).draw(activity.activity_id, "a")
    assert (f"{activity.pool_id}-1", "a", False) == (
        result.draw_id,
        result.request_id,
        result.replayed,
    )
    assert (prize.prize_id, prize.name, prize.image_url) == (
        result.prize.prize_id,
        result.prize.name,
        result.prize.image_url,
    )
    assert result.won
    assert result.prize.prize_code
    assert (1.0, SURE, SURE) == (result.odds, result.odds_weight, result.odds_total)
    assert (activity.activity_id, activity.version) == (result.activity_id, result.pool_version)
    assert re.fullmatch("[0-9a-f]{40}", result.ledger_link)
    state = await world.state(activity)
    assert state is not None
    assert (1, 1, result.drawn_at.ToMilliseconds()) == (
        state.last_seq,
        state.unique_users,
        state.newest_drawn_ms,
    )


async def test_miss_is_a_result_without_a_prize(world: World) -> None:
    """Nothing won is no error: the odds are those of the miss."""
    activity = await world.activity((5, 0))
    result = await world.user(7).draw(activity.activity_id, "a")
    assert not result.won
    assert not result.HasField("prize")
    assert (SURE, SURE) == (result.odds_weight, result.odds_total)


async def test_user_may_name_itself_and_nobody_else(world: World) -> None:
    """Another's id is PERMISSION_DENIED for users and administrators, and draws nothing."""
    activity = await world.activity((5, SURE))
    for caller in (world.user(7), world.user(7, role="admin")):
        refused = await failure(caller.draw(activity.activity_id, "a", user_id=8))
        assert ("PERMISSION_DENIED", {}) == refused
    assert [5] == await world.left(activity)
    result = await world.user(7).draw(activity.activity_id, "a", user_id=7)
    assert f"{activity.pool_id}-1" == result.draw_id


async def test_service_draws_for_the_user_it_names(world: World) -> None:
    """A service's draw is the user's own: the user's retry of it replays."""
    activity = await world.activity((5, SURE))
    by_service = await world.service().draw(activity.activity_id, "a", user_id=7)
    by_user = await world.user(7).draw(activity.activity_id, "a")
    assert (by_service.draw_id, True) == (by_user.draw_id, by_user.replayed)
    assert [4] == await world.left(activity)


async def test_service_is_refused_when_its_user_is_none(world: World) -> None:
    """A service names a user, a positive number that every store can hold exactly."""
    activity = await world.activity((5, SURE))
    for user_id in (0, -1, 1 << 53, -(1 << 63)):
        refused = await failure(world.service().draw(activity.activity_id, "a", user_id=user_id))
        assert (user_id, "INVALID_ARGUMENT", {"field": "user_id"}) == (user_id, *refused)


async def test_request_id_is_refused_when_it_is_unfit(world: World) -> None:
    """Too long, not ASCII or not printable: the field is named, nothing is drawn."""
    activity = await world.activity((5, SURE))
    for name in ("x" * 65, "é", "抽", "a\nb", "a\0b", "\x7f", "\t", "🎟"):
        refused = await failure(world.user(7).draw(activity.activity_id, name))
        assert (name, "INVALID_ARGUMENT", {"field": "request_id"}) == (name, *refused)
    assert [5] == await world.left(activity)


async def test_request_id_may_be_anything_printable(world: World) -> None:
    """It comes back as it was given, and finds its draw again."""
    activity = await world.activity((5, SURE))
    for name in ("x" * 64, "0", "a b|c\"{}'\\ %s $1; --", "7|a"):
        first = await world.user(7).draw(activity.activity_id, name)
        again = await world.user(7).draw(activity.activity_id, name)
        assert (name, False, first.draw_id) == (first.request_id, first.replayed, again.draw_id)
        assert (name, True) == (again.request_id, again.replayed)
    assert [1] == await world.left(activity)


async def test_server_makes_a_request_id_when_none_is_given(world: World) -> None:
    """Each such draw is a new one, and can be found by the id that was made."""
    activity = await world.activity((5, SURE))
    first, second = [await world.user(7).draw(activity.activity_id, "") for _ in range(2)]
    assert first.request_id != second.request_id
    again = await world.user(7).draw(activity.activity_id, second.request_id)
    assert (second.draw_id, True) == (again.draw_id, again.replayed)


async def test_activity_may_be_left_out_while_exactly_one_is_ongoing(world: World) -> None:
    """With none there is nothing to draw from; with one it is meant."""
    assert ("ACTIVITY_NOT_FOUND", {}) == await failure(world.user(7).draw(0, "a"))
    activity = await world.activity((5, SURE))
    await world.postgres.execute("UPDATE activities SET start_time = now() + interval '1 day'")
    assert "ACTIVITY_NOT_FOUND" == (await failure(world.user(7).draw(0, "a")))[0]
    assert activity.version


async def test_only_ongoing_activity_is_meant_when_none_is_named(world: World) -> None:
    """One that is paused or ended does not count."""
    activities = [await world.activity((5, SURE)) for _ in range(3)]
    for activity, status in zip(activities[1:], ("paused", "ended"), strict=True):
        await world.postgres.execute(
            "UPDATE activities SET status = $2 WHERE id = $1", activity.activity_id, status
        )
    result = await world.user(7).draw(0, "a")
    assert activities[0].activity_id == result.activity_id


async def test_activity_has_to_be_named_when_two_are_ongoing(world: World) -> None:
    """Which one is meant is never guessed."""
    one, two = [await world.activity((5, SURE)) for _ in range(2)]
    assert "ACTIVITY_NOT_FOUND" == (await failure(world.user(7).draw(0, "a")))[0]
    assert [[5], [5]] == [await world.left(one), await world.left(two)]


async def test_draw_is_refused_when_there_is_no_such_activity(world: World) -> None:
    """Unknown is ACTIVITY_NOT_FOUND, also when asked twice; negative is unfit."""
    for activity_id in (987_654, 987_654, (1 << 63) - 1):
        refused = await failure(world.user(7).draw(activity_id, "a"))
        assert ("ACTIVITY_NOT_FOUND", {}) == refused
    for activity_id in (-1, -(1 << 63)):
        refused = await failure(world.user(7).draw(activity_id, "a"))
        assert ("INVALID_ARGUMENT", {"field": "activity_id"}) == refused


async def test_draw_is_refused_when_activity_is_not_ongoing(world: World) -> None:
    """L7: the answer says which of the other states it is in."""
    configs: list[tuple[str, dict[str, Any]]] = [
        ("paused", {"status": pool_pb2.POOL_STATUS_PAUSED}),
        ("ended", {"status": pool_pb2.POOL_STATUS_ENDED}),
        ("ended", {"end_ms": 1}),
        ("planned", {"start_ms": 1 << 50}),
    ]
    for status, config in configs:
        activity = await world.activity((5, SURE), **config)
        refused = await failure(world.user(7).draw(activity.activity_id, "a"))
        assert ("ACTIVITY_NOT_ONGOING", {"status": status}) == refused


async def test_answer_tells_draws_left_and_next_draw(world: World) -> None:
    """X5: with a quota and a cooldown, what is left and from when; also in the replay."""
    limits = pool_pb2.UserLimits(draws_per_user=3, cooldown_ms=60_000)
    activity = await world.activity((5, SURE), limits=limits)
    first = await world.user(7).draw(activity.activity_id, "a")
    assert (2, 60_000) == (
        first.draws_left,
        first.next_draw_at.ToMilliseconds() - first.drawn_at.ToMilliseconds(),
    )
    reason, metadata = await failure(world.user(7).draw(activity.activity_id, "b"))
    assert "COOLDOWN" == reason
    assert 0 < int(metadata["retry_after_ms"]) <= 60_000
    again = await world.user(7).draw(activity.activity_id, "a")
    assert (2, first.next_draw_at) == (again.draws_left, again.next_draw_at)


async def test_draws_left_is_zero_when_quota_is_spent(world: World) -> None:
    """Zero left is told as 0, not left out; then QUOTA_SPENT names the quota."""
    limits = pool_pb2.UserLimits(draws_per_day=1)
    activity = await world.activity((5, SURE), limits=limits)
    result = await world.user(7).draw(activity.activity_id, "a")
    assert (True, 0) == (result.HasField("draws_left"), result.draws_left)
    refused = await failure(world.user(7).draw(activity.activity_id, "b"))
    assert ("QUOTA_SPENT", {"quota": "draws_per_day"}) == refused


async def test_draws_left_is_absent_when_there_is_no_limit(world: World) -> None:
    """No quota and no cooldown: neither field is there."""
    activity = await world.activity((5, SURE))
    result = await world.user(7).draw(activity.activity_id, "a")
    assert (False, False) == (result.HasField("draws_left"), result.HasField("next_draw_at"))


async def test_blocked_user_is_refused_until_the_block_is_lifted(world: World) -> None:
    """A block holds from the next draw on, for that user alone."""
    activity = await world.activity((5, SURE))
    block = pool_pb2.SetUserBlockRequest(user_id=7, blocked=True)
    await world.service()(block)
    assert "USER_BLOCKED" == (await failure(world.user(7).draw(activity.activity_id, "a")))[0]
    assert f"{activity.pool_id}-1" == (await world.user(8).draw(activity.activity_id, "a")).draw_id
    block.blocked = False
    await world.service()(block)
    assert f"{activity.pool_id}-2" == (await world.user(7).draw(activity.activity_id, "a")).draw_id


async def test_nobody_draws_from_a_blocked_address(world: World) -> None:
    """From the next draw on; a draw made before is told again, and services draw as before."""
    activity = await world.activity((5, SURE))
    before = await world.user(7).draw(activity.activity_id, "a")
    block = pool_pb2.SetNetworkBlockRequest(network="127.0.0.0/8", blocked=True)
    await world.service()(block)
    assert "USER_BLOCKED" == (await failure(world.user(7).draw(activity.activity_id, "b")))[0]
    assert before.draw_id == (await world.user(7).draw(activity.activity_id, "a")).draw_id
    await world.service().draw(activity.activity_id, "c", user_id=7)
    block.blocked = False
    await world.service()(block)
    assert f"{activity.pool_id}-3" == (await world.user(7).draw(activity.activity_id, "b")).draw_id


async def test_each_layer_counts_what_it_stopped(world: World) -> None:
    """By its name and the reason; of a batch, each draw by itself."""
    activity = await world.activity((5, SURE), limits=pool_pb2.UserLimits(cooldown_ms=3_600_000))
    await world.user(7).draw(activity.activity_id, "a")
    stranger = Caller(world.channels[0], None)
    refused: list[tuple[str, str, Any]] = [
        ("token", "UNAUTHENTICATED", stranger.draw(activity.activity_id, "b")),
        ("token", "PERMISSION_DENIED", world.user(7)(pool_pb2.CreatePoolRequest())),
        ("bounds", "INVALID_ARGUMENT", world.user(7).draw(activity.activity_id, "b" * 65)),
        ("draw", "COOLDOWN", world.user(7).draw(activity.activity_id, "b")),
    ]
    for layer, reason, call in refused:
        before = _stopped(layer, reason)
        assert reason == (await failure(call))[0]
        assert before + 1 == _stopped(layer, reason)
    before = _stopped("draw", "COOLDOWN")
    await world.service().batch(*[(activity.activity_id, 7, name) for name in "xyz"])
    assert before + 3 == _stopped("draw", "COOLDOWN")


async def test_calls_beyond_what_a_process_takes_are_counted(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: object
) -> None:
    """Of many at once some are shed, before anybody looks at their tokens."""
    async with open_world(postgres, postgres_dsn, redis_url, max_calls=1) as world:
        activity = await world.activity((500, SURE))
        before = _stopped("load", "OVERLOADED")
        calls = (world.user(7).draw(activity.activity_id, f"a{number}") for number in range(50))
        told = await asyncio.gather(*calls, return_exceptions=True)
        shed = sum(isinstance(one, grpc.aio.AioRpcError) for one in told)
        assert 0 < shed == _stopped("load", "OVERLOADED") - before


def _stopped(layer: str, reason: str) -> float:
    labels = {"layer": layer, "reason": reason}
    return REGISTRY.get_sample_value("kuji_stopped_total", labels) or 0.0


async def test_prize_added_meanwhile_can_be_won(world: World) -> None:
    """L2: a published prize is drawn by the very next draw, name and picture included."""
    activity = await world.activity((5, 0))
    await world.user(7).draw(activity.activity_id, "a")
    added = await world.postgres.fetchval(
        "INSERT INTO prizes (activity_id, pool_id, name, total_count, probability_ppb)"
        " VALUES ($1, $2, 'New', 3, 1000000000) RETURNING id",
        activity.activity_id,
        activity.pool_id,
    )
    activity.config.prizes.add(prize_id=added, name="新品", units=3, weight=SURE, enabled=True)
    await world.publish(activity)
    result = await world.user(7).draw(activity.activity_id, "b")
    assert (added, "新品", activity.version) == (
        result.prize.prize_id,
        result.prize.name,
        result.pool_version,
    )


async def test_no_more_users_win_than_there_are_units_when_all_draw_at_once(world: World) -> None:
    """P7, L3: 300 concurrent draws on 7 units give 7 winners, through the running service."""
    activity = await world.activity((7, SURE))
    service = world.service()
    results: list[draw_pb2.DrawResult] = await asyncio.gather(
        *(service.draw(activity.activity_id, "a", user_id=user_id) for user_id in range(1, 301))
    )
    assert 7 == sum(result.won for result in results)
    assert {f"{activity.pool_id}-{seq}" for seq in range(1, 301)} == {
        result.draw_id for result in results
    }
    assert 7 == len({result.prize.prize_code for result in results if result.won})
