"""The rules of an activity: every version of its odds and units, as the ledger has them."""

from datetime import UTC

import asyncpg
import pytest
from kuji.draw.v1 import pool_pb2
from kuji.history.v1 import history_pb2 as pb
from redis.asyncio import Redis

from services.common.errors import ActivityNotFoundError
from services.common.timestamps import datetime_of_ms
from services.history.lottery import rules
from tests.support.history import (
    ANYONE,
    START_MS,
    changed,
    history_of,
    make_pool,
    make_users,
    next_version,
    recording,
    until_recorded,
)


async def test_version_is_worked_out_once_whatever_pages_are_asked_for(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anybody may ask, and a hundred versions of 256 prizes would take most of a second."""
    writer, prizes = await make_pool(postgres, redis)
    for units in range(2000, 2004):
        specs = [changed(prizes[0], units=units), prizes[1]]
        await writer.configure(await next_version(postgres), specs)
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    work_out = rules._prizes
    worked_out: list[str] = []

    def counting(config_json: str) -> list[rules.RuledPrize]:
        worked_out.append(config_json)
        return work_out(config_json)

    monkeypatch.setattr(rules, "_prizes", counting)
    async with history_of(postgres_dsn, redis_url) as history:
        for size in (2, 3, 4, 100):
            request = pb.GetRulesRequest(activity_id=writer.activity_id, page_size=size)
            told = await history.servicer.GetRules(request, ANYONE)
            counts = [one.prizes[0].total_count for one in told.versions]
            assert [1000, 2000, 2001, 2002, 2003][:size] == counts
    assert len(set(worked_out)) == len(worked_out) == 5


async def test_rules_show_each_version_of_odds_and_units_from_its_draw_on(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A change of odds, units or limits is a version; a pause is none; retired prizes are gone."""
    (user,) = await make_users(postgres, 1)
    writer, prizes = await make_pool(postgres, redis, prizes=2, units=10)
    await writer.draw([(user, 0), (user, prizes[0].prize_id)])
    paused = pool_pb2.POOL_STATUS_PAUSED
    await writer.configure(await next_version(postgres), prizes, status=paused)
    more = [changed(prizes[0], units=12, weight=1), prizes[1]]
    await writer.configure(await next_version(postgres), more)
    await writer.draw([(user, 0)])
    fewer = [more[0], changed(prizes[1], retired=True)]
    limits = pool_pb2.UserLimits(draws_per_day=3)
    tickets = pool_pb2.TicketPolicy(required=True, difficulty=9, spread_ms=700)
    told = {"limits": limits, "confirm": pool_pb2.CONFIRM_RECORDED, "draw_tickets": tickets}
    await writer.configure(await next_version(postgres), fewer, **told)
    await postgres.execute("UPDATE activities SET max_draws_per_day = 3, time_zone = 'Asia/Tokyo'")
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    async with history_of(postgres_dsn, redis_url) as history:
        request = pb.GetRulesRequest(activity_id=writer.activity_id)
        told_rules = await history.servicer.GetRules(request, ANYONE)
        page = pb.GetRulesRequest(activity_id=writer.activity_id, page=2, page_size=2)
        last = await history.servicer.GetRules(page, ANYONE)
    first, second = (prize.prize_id for prize in prizes)
    assert [
        (1, [(first, 10, 0.25), (second, 10, 0.25)]),
        (3, [(first, 12, 1e-9), (second, 10, 0.25)]),
        (4, [(first, 12, 1e-9)]),
    ] == [
        (one.from_seq, [(p.prize_id, p.total_count, p.probability) for p in one.prizes])
        for one in told_rules.versions
    ]
    assert {datetime_of_ms(START_MS)} == {
        one.from_time.ToDatetime(UTC) for one in told_rules.versions
    }
    assert ("01" * 32, False, 3, "Asia/Tokyo", "recorded") == (
        told_rules.seed_commitment,
        told_rules.has_more,
        told_rules.limits.max_draws_per_day,
        told_rules.limits.time_zone,
        told_rules.confirm,
    )
    assert (True, 9, 700) == (
        told_rules.limits.ticket_required,
        told_rules.limits.ticket_difficulty,
        told_rules.limits.ticket_spread_ms,
    )
    assert ([told_rules.versions[2]], False) == (list(last.versions), last.has_more)


async def test_rules_of_an_unknown_activity_are_not_found(
    postgres_dsn: str, redis_url: str
) -> None:
    """Any id without an activity has the same answer."""
    async with history_of(postgres_dsn, redis_url) as history:
        for activity_id in (0, -1, 77):
            with pytest.raises(ActivityNotFoundError):
                await history.servicer.GetRules(pb.GetRulesRequest(activity_id=activity_id), ANYONE)
