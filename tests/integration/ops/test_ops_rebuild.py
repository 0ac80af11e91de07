"""Redis lost or set back, and rebuilt from Postgres: nothing that was recorded is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from ops.rebuild import facts, rebuilder
from ops.rebuild.rebuilder import GAP_DRAWS, Outcome, RebuildError
from services.admin.store import Rows
from services.pool.marks.keeper import MarkKeeper
from services.pool.marks.records import ROOM, MarkRecords
from services.pool.rule.selection import PPB
from services.pool.rule.terms import Answer, ConfigureCode, DrawCode, PoolStatus, Quota
from services.pool.store.keys import key
from services.pool.store.redis_store import RedisStore
from tests.support.command import run_kuji
from tests.support.draws import NO_BACKLOG_BOUND, intent
from tests.support.history import eventually, recording
from tests.support.ledgers import (
    ENDED,
    ODDS,
    PAUSED,
    TICKETS,
    WEIGHTS,
    Campaign,
    add_prize,
    open_campaign,
)
from tests.support.rebuilds import findings, lose_and_rebuild, memory, past_draws, rebuild

_HOUR_MS = 3_600_000


async def _block(campaign: Campaign, user_id: int) -> None:
    await campaign.postgres.execute(
        "INSERT INTO blocks (user_id, reason, created_by) VALUES ($1, 'a bot', 1)", user_id
    )
    await campaign.store.blocks.set(user_id, 0)


async def _odds(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    limits = {
        "cooldown_ms": _HOUR_MS,
        "draws_per_user": 9,
        "draws_per_day": 4,
        "wins_per_user": 5,
        "day_offset_minutes": 540,
    }
    prizes = [{"units": 3, "weight": PPB // 3, "wins_per_user": 1}, {"weight": PPB // 2}]
    campaign = await open_campaign(postgres, redis, prizes)
    await campaign.draw((1, "a"), (2, "a"), (1, "b"), (3, "a"))
    campaign.config.prizes[0].units = 2 + 3
    await add_prize(campaign, units=7)
    await campaign.publish()
    await campaign.draw((4, "a"), (5, "a", 3))
    campaign.config.prizes[2].retired = True
    campaign.config.limits.CopyFrom(type(campaign.config.limits)(**limits))
    await campaign.publish()
    await campaign.draw_fresh(20)
    return campaign


async def _tickets(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    prizes = [{"units": 3, "weight": 0}, {"units": 9, "weight": 0}]
    last = {"units": 1, "weight": 0, "last_prize": True}
    campaign = await open_campaign(postgres, redis, [*prizes, last], mode=TICKETS)
    await campaign.draw((1, "a", 4), (2, "a", 3))
    await campaign.draw((1, "b", 5))  # with the last prize
    campaign.config.prizes[1].units = 20
    await campaign.publish()
    await campaign.draw((3, "a", 2))
    return campaign


async def _weights(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    prizes = [{"units": -1, "weight": 50}, {"units": 30, "weight": 0}, {"units": -1, "weight": 9}]
    campaign = await open_campaign(postgres, redis, prizes, mode=WEIGHTS)
    await campaign.draw((1, "a", 40), (2, "a", 20))
    campaign.config.prizes[2].retired = True
    campaign.config.status = PAUSED
    await campaign.publish()
    return campaign


_CAMPAIGNS: dict[int, Callable[[asyncpg.Pool, Redis], Awaitable[Campaign]]] = {
    ODDS: _odds,
    TICKETS: _tickets,
    WEIGHTS: _weights,
}


@pytest.mark.parametrize("mode", _CAMPAIGNS)
async def test_rebuild_restores_all_that_decides_a_draw(
    postgres: asyncpg.Pool, redis: Redis, mode: int
) -> None:
    """Stock, users' limits, request ids, blocks and configuration are as before the loss."""
    campaign = await _CAMPAIGNS[mode](postgres, redis)
    await _block(campaign, 7)
    await campaign.record()
    before = await memory(campaign)
    await lose_and_rebuild(campaign)
    assert before == await memory(campaign)


async def test_day_that_a_user_has_reached_outlives_a_rebuild_when_the_time_zone_goes_back(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A rebuild knows as well which day it is for a user, and the ledger verifies throughout."""
    campaign = await open_campaign(postgres, redis, [{"weight": PPB}])
    campaign.config.limits.draws_per_day = 2
    for minutes, request_id in ((-720, "a"), (840, "b"), (-720, "c")):  # 26 hours: another day
        campaign.config.limits.day_offset_minutes = minutes
        await campaign.publish()
        await campaign.draw((1, request_id))
    await campaign.record()
    before = await memory(campaign)
    await lose_and_rebuild(campaign)
    assert before == await memory(campaign)
    refused = (await campaign.ask((1, "d")))[0]
    assert (DrawCode.QUOTA_SPENT, Quota.DRAWS_PER_DAY) == (refused.code, refused.detail)
    assert 3 == await campaign.verify()


async def test_rebuild_goes_on_behind_a_gap_when_draws_were_lost(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """No draw id is used twice; the recorder goes on, the books balance, the ledger verifies."""
    campaign = await _odds(postgres, redis)
    recorded = 0

    async def is_recorded() -> bool:
        seq: int = await campaign.fetchval("SELECT recorded_seq FROM pools WHERE id = $1")
        return seq >= recorded

    async with recording(postgres_dsn, redis_url):
        recorded = (await campaign.draw_fresh(1))[0].first_seq
        await eventually(is_recorded)
        await lose_and_rebuild(campaign)
        first_seq = (await campaign.draw_fresh(9))[0].first_seq
        assert recorded + GAP_DRAWS + 1 == first_seq
        recorded = first_seq + 8
        await eventually(is_recorded)
        await lose_and_rebuild(campaign)
        recorded = (await campaign.draw_fresh(1))[0].first_seq
        await eventually(is_recorded)
    assert [] == await findings(campaign)
    draws = await campaign.fetchval("SELECT draws FROM pools WHERE id = $1")
    assert draws == await campaign.verify()


async def test_rebuild_loses_only_what_was_not_recorded(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A request whose draw went down with Redis draws anew, at a place never used before."""
    campaign = await open_campaign(postgres, redis, [{"weight": PPB}])
    kept = await campaign.draw((1, "kept"))
    await campaign.record()
    await campaign.draw((1, "lost"))
    await lose_and_rebuild(campaign)
    again = await campaign.ask((1, "kept"), (1, "lost"))
    assert [DrawCode.REPLAYED, DrawCode.DRAWN] == [answer.code for answer in again]
    assert [kept[0].first_seq, 1 + GAP_DRAWS + 1] == [answer.first_seq for answer in again]
    await campaign.record()
    assert ([], 2) == (await findings(campaign), await campaign.verify())


async def test_late_retry_finds_its_first_result_when_redis_was_rebuilt(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A request id of the last day is answered by what it drew, all of its places."""
    campaign = await _tickets(postgres, redis)
    await campaign.record()
    await lose_and_rebuild(campaign)
    (answer,) = await campaign.ask((1, "b", 5))
    assert (DrawCode.REPLAYED, 8, 6) == (answer.code, answer.first_seq, answer.places)
    past = await past_draws(postgres, redis).read(campaign.pool_id, 8, 6)
    rows = await postgres.fetch(
        "SELECT seq, prize_id, ticket FROM lottery_records"
        " WHERE pool_id = $1 AND seq BETWEEN 8 AND 13 ORDER BY seq",
        campaign.pool_id,
    )
    assert [tuple(row) for row in rows] == [(d.seq, d.prize_id, d.ticket) for d in past]
    (reused,) = await campaign.ask((1, "b", 4))
    assert DrawCode.REQUEST_ID_REUSED == reused.code


async def test_request_id_is_free_again_when_it_is_older_than_two_days(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Only the ids that Redis would still know come back."""
    campaign = await open_campaign(postgres, redis, [{}])
    await campaign.draw((1, "old"), (2, "yesterday"))
    await campaign.record()
    for user_id, days in ((1, 2), (2, 1)):
        await campaign.execute(
            "UPDATE lottery_records SET created_at = created_at - $2 * interval '1 day'"
            " WHERE pool_id = $1 AND user_id = $3",
            days,
            user_id,
        )
    await lose_and_rebuild(campaign)
    codes = [answer.code for answer in await campaign.ask((1, "old"), (2, "yesterday"))]
    assert [DrawCode.DRAWN, DrawCode.REPLAYED] == codes


async def test_limits_hold_when_redis_was_rebuilt(postgres: asyncpg.Pool, redis: Redis) -> None:
    """Cooldown, quotas, wins and blocks refuse as they did."""
    campaign = await open_campaign(postgres, redis, [{"weight": PPB}])
    await campaign.draw((1, "a"), (2, "a", 2), (3, "a"), (4, "a", 3))
    limits: list[tuple[int, dict[str, int], tuple[DrawCode, int]]] = [
        (2, {"draws_per_user": 2}, (DrawCode.QUOTA_SPENT, Quota.DRAWS_PER_USER)),
        (2, {"draws_per_day": 2}, (DrawCode.QUOTA_SPENT, Quota.DRAWS_PER_DAY)),
        (4, {"wins_per_user": 3}, (DrawCode.QUOTA_SPENT, Quota.WINS_PER_USER)),
        (5, {}, (DrawCode.BLOCKED, 0)),
    ]
    await _block(campaign, 5)
    await postgres.execute(
        "INSERT INTO blocks (network, reason, created_by) VALUES ('203.0.113.0/24', 'bots', 1)"
    )
    for user_id, given, refusal in limits:
        campaign.config.limits.CopyFrom(type(campaign.config.limits)(**given))
        await campaign.publish()
        await campaign.record()
        await lose_and_rebuild(campaign)
        (answer,) = await campaign.ask((user_id, "again"))
        assert refusal == (answer.code, answer.detail)
    wish = intent(6, "again", pool_id=campaign.pool_id)._replace(address="203.0.113.7")
    (answer,) = (await campaign.store.draw(campaign.pool_id, [wish])).answers
    assert DrawCode.BLOCKED == answer.code
    campaign.config.limits.CopyFrom(type(campaign.config.limits)(cooldown_ms=_HOUR_MS))
    await campaign.publish()
    await campaign.record()
    await lose_and_rebuild(campaign)
    (answer,) = await campaign.ask((3, "again"))
    assert DrawCode.COOLDOWN == answer.code
    assert 0 < answer.detail <= _HOUR_MS


@pytest.mark.parametrize("status", [PAUSED, ENDED])
async def test_closed_pool_stays_closed_when_redis_was_rebuilt(
    postgres: asyncpg.Pool, redis: Redis, status: int
) -> None:
    """A pool never draws again by being rebuilt."""
    campaign = await open_campaign(postgres, redis, [{}])
    campaign.config.status = status  # type: ignore[assignment]
    await campaign.publish()
    await campaign.record()
    await lose_and_rebuild(campaign)
    (answer,) = await campaign.ask((1, "a"))
    assert (DrawCode.NOT_ONGOING, PoolStatus(status)) == (answer.code, answer.detail)


async def test_change_is_kept_when_it_was_committed_and_not_recorded(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """What the operator wants is in Postgres, also where the ledger that tells it is lost."""
    campaign = await open_campaign(postgres, redis, [{"units": 5, "weight": PPB}])
    await campaign.draw((1, "a"), (2, "a"))
    await campaign.record()
    campaign.config.prizes[0].units = 9
    campaign.config.limits.draws_per_user = 1
    await campaign.publish()
    await campaign.execute("UPDATE activities SET max_draws_per_user = 1 WHERE pool_id = $1")
    await lose_and_rebuild(campaign)
    answers = await campaign.ask((1, "b"), (3, "a"))
    assert [DrawCode.QUOTA_SPENT, DrawCode.DRAWN] == [answer.code for answer in answers]
    stock = await redis.hgetall(key(campaign.pool_id, "stock"))
    assert {str(campaign.prize_ids[0]).encode(): b"6"} == stock
    await campaign.record()
    assert ([], 3) == (await findings(campaign), await campaign.verify())


async def test_pool_is_published_when_nothing_of_it_was_recorded(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A pool that was lost before its first configuration was recorded comes back too."""
    campaign = await open_campaign(postgres, redis, [{"units": 2, "weight": PPB}])
    await lose_and_rebuild(campaign)
    await campaign.draw((1, "a"), (2, "a"), (3, "a"))
    await campaign.record()
    assert ([], 3) == (await findings(campaign), await campaign.verify())


async def test_draws_are_refused_until_the_rebuild_is_done(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Whenever a draw comes, it is refused or right; none sees half a pool."""
    campaign = await open_campaign(postgres, redis, [{"units": 400, "weight": PPB}])
    for _ in range(10):
        await campaign.draw_fresh(100)
    await campaign.record()
    await campaign.redis.flushall()
    answers: list[Answer] = []

    async def draw_until_drawn() -> None:
        while not answers or answers[-1].code is not DrawCode.DRAWN:
            answers.extend(await campaign.ask((1, "during")))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(draw_until_drawn())
        tasks.create_task(rebuild(campaign))
    codes = [answer.code for answer in answers]
    assert [DrawCode.NOT_LOADED] * (len(codes) - 1) == codes[:-1]
    assert 1000 + GAP_DRAWS + 1 == answers[-1].first_seq
    await campaign.record()
    assert ([], 1001) == (await findings(campaign), await campaign.verify())


async def _dump(redis: Redis) -> dict[bytes, Any]:
    keys: Any = await redis.keys("*")
    return {name: await redis.dump(name) for name in sorted(keys)}


async def _set_back(redis: Redis, dumped: dict[bytes, Any]) -> None:
    await redis.flushall()
    for name, value in dumped.items():
        await redis.restore(name, 0, value)


async def test_rebuild_changes_nothing_when_redis_is_healthy(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Draws in flight, too, are left as they are, in both stores."""
    campaign = await _odds(postgres, redis)
    await campaign.record()
    await campaign.draw_fresh(3)
    before = await _dump(redis), await postgres.fetch("TABLE pools")
    assert Outcome.HEALTHY == await rebuild(campaign)
    assert before == (await _dump(redis), await postgres.fetch("TABLE pools"))
    assert [] == await postgres.fetch("TABLE ledger_gaps")


async def test_pool_is_refused_and_rebuilt_when_redis_is_set_back(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A Redis restored from an old snapshot draws nothing twice."""
    campaign = await open_campaign(postgres, redis, [{"units": 9, "weight": PPB}])
    await campaign.draw_fresh(2)
    old = await _dump(redis)
    await campaign.draw_fresh(3)
    await campaign.record()
    await _set_back(redis, old)
    (refused,) = await campaign.ask((1, "a"))
    assert DrawCode.NOT_LOADED == refused.code
    keeper = MarkKeeper(MarkRecords(postgres), None, settle_s=0)
    newcomer = RedisStore(redis, NO_BACKLOG_BOUND, witness=keeper)  # a process that started later
    assert DrawCode.NOT_LOADED == (await campaign.ask((1, "a"), store=newcomer))[0].code
    assert Outcome.REBUILT == await rebuild(campaign)
    assert [5 + ROOM + 1] == [answer.first_seq for answer in await campaign.draw((1, "a"))]
    await campaign.record()
    assert ([], 6) == (await findings(campaign), await campaign.verify())


async def test_pool_is_rebuilt_when_redis_is_set_back_before_a_change(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A pool that was paused does not draw because an old snapshot says so."""
    campaign = await open_campaign(postgres, redis, [{}])
    await campaign.draw_fresh(2)
    old = await _dump(redis)
    campaign.config.status = PAUSED
    await campaign.publish()
    await campaign.record()
    await _set_back(redis, old)
    assert Outcome.REBUILT == await rebuild(campaign)
    (answer,) = await campaign.ask((1, "a"))
    assert (DrawCode.NOT_ONGOING, PoolStatus.PAUSED) == (answer.code, answer.detail)
    await campaign.record()
    assert ([], 2) == (await findings(campaign), await campaign.verify())


async def test_rebuild_refuses_to_drop_draws_that_are_not_recorded(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """What Redis alone has is not thrown away, even if the pool cannot draw."""
    campaign = await open_campaign(postgres, redis, [{}])
    await campaign.draw_fresh(2)
    await redis.delete(key(campaign.pool_id, "config"))
    before = await _dump(redis)
    with pytest.raises(RebuildError, match="the draws 1 to 2, which are not recorded yet"):
        await rebuild(campaign)
    assert before == await _dump(redis)
    await campaign.record()
    assert Outcome.REBUILT == await rebuild(campaign)
    await campaign.draw_fresh(1)
    await campaign.record()
    assert ([], 3) == (await findings(campaign), await campaign.verify())


class _Died(BaseException):
    """The process is gone; nothing catches it."""


def _dying(function: Any) -> Any:
    async def dies(*arguments: Any, **named: Any) -> Any:
        await function(*arguments, **named)
        raise _Died

    return dies


def _dying_between(function: Callable[..., Any]) -> Any:
    async def dies(*arguments: Any, **named: Any) -> Any:
        async for chunk in function(*arguments, **named):
            yield chunk
        raise _Died

    return dies


_STEPS: list[tuple[object, str, Callable[[Any], Any]]] = [
    (facts, "lock", _dying),
    (facts, "note_gap", _dying),
    (facts, "packed_users", _dying_between),
    (facts, "packed_voids", _dying_between),
    (facts, "packed_requests", _dying_between),
    (facts, "active_blocks", _dying),
    (facts, "standing", _dying),
    (rebuilder, "publish", _dying),
    (Rows, "set_pool_version", _dying),
]


@pytest.mark.parametrize(("owner", "step", "fatal"), _STEPS, ids=[step[1] for step in _STEPS])
async def test_second_rebuild_finishes_when_the_first_one_died_after(
    postgres: asyncpg.Pool,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    step: str,
    fatal: Callable[[Any], Any],
) -> None:
    """Wherever a rebuild ends, draws are refused or right, and running it again is enough."""
    campaign = await open_campaign(postgres, redis, [{"units": 9, "weight": PPB}])
    await campaign.draw((1, "a"), (2, "a"))
    await campaign.record()
    await redis.flushall()
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, fatal(getattr(owner, step)))
        with pytest.raises(_Died):
            await rebuild(campaign)
    (answer,) = await campaign.ask((3, "a"))
    if answer.code is DrawCode.DRAWN:  # it died with all done in Redis, and not told to Postgres
        assert GAP_DRAWS < answer.first_seq
        assert Outcome.HEALTHY == await rebuild(campaign)
    else:
        assert DrawCode.NOT_LOADED == answer.code
        assert ConfigureCode.NOT_LOADED == (await campaign.configure()).code
        assert Outcome.REBUILT == await rebuild(campaign)
        await campaign.draw((3, "a"))
    await campaign.record()
    stock = await redis.hgetall(key(campaign.pool_id, "stock"))
    assert {str(campaign.prize_ids[0]).encode(): b"6"} == stock
    assert ([], 3) == (await findings(campaign), await campaign.verify())


async def test_one_of_two_rebuilds_at_once_does_the_work(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """The other one finds the pool healthy; what was drawn in between stays."""
    campaign = await _odds(postgres, redis)
    await campaign.record()
    recorded: int = await campaign.fetchval("SELECT draws FROM pools WHERE id = $1")
    await redis.flushall()
    outcomes = await asyncio.gather(*[rebuild(campaign) for _ in range(3)])
    assert [Outcome.HEALTHY, Outcome.HEALTHY, Outcome.REBUILT] == sorted(outcomes)
    await campaign.draw_fresh(2)
    await campaign.record()
    assert ([], recorded + 2) == (await findings(campaign), await campaign.verify())


async def test_publication_is_refused_while_a_pool_is_lost(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Nobody publishes over a pool that is not there: its stock would be counted anew."""
    campaign = await open_campaign(postgres, redis, [{"units": 9}])
    await campaign.record()
    await redis.flushall()
    assert ConfigureCode.NOT_LOADED == (await campaign.configure()).code
    assert [] == await redis.keys("*")


async def test_rebuild_command_tells_what_it_did(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """The lost pool is rebuilt, the healthy one is not touched, reconcile agrees."""
    lost, healthy = [await open_campaign(postgres, redis, [{}]) for _ in range(2)]
    for campaign in (lost, healthy):
        await campaign.draw_fresh(4)
        await campaign.record()
    names: Any = await redis.keys(f"{{p:{lost.pool_id}}}:*")
    await redis.delete(*names)
    stores = {"KUJI_POSTGRES_DSN": postgres_dsn, "KUJI_REDIS_URL": redis_url}
    ran = await run_kuji("rebuild", **stores)
    assert (0, "✓ 1 rebuilt, 1 healthy and left alone\n") == ran[:2]
    ran = await run_kuji("reconcile", **stores)
    assert (0, "✓ the books balance (2 pools)\n") == ran[:2]
    ran = await run_kuji("rebuild", "--pool", "404", **stores)
    assert (2, "", "kuji: There is no pool 404\n") == ran


async def test_rebuild_command_exits_2_in_one_sentence_when_draws_would_be_lost(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """It says which draws, and what to do first."""
    campaign = await open_campaign(postgres, redis, [{}])
    await campaign.draw_fresh(2)
    await redis.delete(key(campaign.pool_id, "config"))
    ran = await run_kuji("rebuild", KUJI_POSTGRES_DSN=postgres_dsn, KUJI_REDIS_URL=redis_url)
    assert 2 == ran.code
    assert "kuji: Pool 1: Redis has the draws 1 to 2, which are not recorded yet" in ran.err
