"""What draw tickets are worth in the atomic step: one table of cases for both engines."""

from dataclasses import replace
from typing import NamedTuple

import pytest
from redis.asyncio import Redis

from services.pool.rule.terms import (
    NO_TICKET,
    DrawCode,
    DrawTicket,
    Opening,
    PoolConfig,
    PoolStatus,
    TicketPolicy,
)
from services.pool.store.redis_store import RedisStore
from tests.support.clocks import follow_set_clock, set_clock
from tests.support.draws import NO_BACKLOG_BOUND, MemoryStore, intent, odds

POOL = 1
NOON_MS = 1_800_000_000_000
ASKED = TicketPolicy(required=True, difficulty=8, spread_ms=5000)
CONFIG = replace(odds((100, 500_000_000)), draw_tickets=ASKED)
GOOD = DrawTicket(NOON_MS, NOON_MS, NOON_MS + 30_000, 8, 8)


class Table:
    """A store whose clock stands where it is put."""

    def __init__(self, redis: Redis | None) -> None:
        self.redis = redis
        self.memory = MemoryStore()
        redis_store = RedisStore(redis, NO_BACKLOG_BOUND) if redis is not None else None
        self.store = follow_set_clock(redis_store) if redis_store is not None else self.memory
        self.version = 0

    async def set_ms(self, ms: int) -> None:
        self.memory.server_us = ms * 1000
        if self.redis is not None:
            await set_clock(self.redis, ms * 1000)

    async def configure(self, config: PoolConfig, ms: int) -> None:
        await self.set_ms(ms)
        self.version += 1
        await self.store.configure(POOL, self.version - 1, self.version, config, "{}")

    async def opening(self) -> Opening:
        opening = await self.store.opening(POOL)
        assert opening is not None
        return opening

    async def draw(self, name: str, ticket: DrawTicket | None) -> tuple[DrawCode, int]:
        one = intent(1, name)._replace(draw_ticket=ticket)
        answer = (await self.store.draw(POOL, [one])).answers[0]
        return answer.code, answer.detail


@pytest.fixture(params=["memory", "redis"])
def table(request: pytest.FixtureRequest) -> Table:
    return Table(None if request.param == "memory" else request.getfixturevalue("redis"))


class Case(NamedTuple):
    """A ticket shown at an instant, and what becomes of it where tickets are asked for, or not."""

    ticket: DrawTicket | None
    at_ms: int
    asked: tuple[DrawCode, int]
    unasked: tuple[DrawCode, int]


DRAWN = (DrawCode.DRAWN, 0)
EXPIRED = (DrawCode.TICKET_EXPIRED, 0)
UNSOLVED = (DrawCode.PUZZLE_UNSOLVED, 8)
EARLY = (DrawCode.TICKET_EARLY, 700)
CASES = {
    "good": Case(GOOD, 1000, DRAWN, DRAWN),
    "of a service": Case(None, 1000, DRAWN, DRAWN),
    "none": Case(NO_TICKET, 1000, (DrawCode.TICKET_REQUIRED, 0), DRAWN),
    "last instant": Case(GOOD, 29_999, DRAWN, DRAWN),
    "stale": Case(GOOD, 30_000, EXPIRED, EXPIRED),
    "of an opening before": Case(GOOD._replace(opening_ms=NOON_MS - 1), 0, EXPIRED, EXPIRED),
    "of an opening to come": Case(GOOD._replace(opening_ms=NOON_MS + 1), 0, EXPIRED, EXPIRED),
    "unsolved": Case(GOOD._replace(solved_bits=7), 0, UNSOLVED, UNSOLVED),
    "solved better": Case(GOOD._replace(solved_bits=256), 0, DRAWN, DRAWN),
    "issued without a puzzle": Case(GOOD._replace(difficulty=0, solved_bits=0), 0, DRAWN, DRAWN),
    "early": Case(GOOD._replace(not_before_ms=NOON_MS + 1700), 1000, EARLY, EARLY),
    "first instant": Case(GOOD._replace(not_before_ms=NOON_MS + 1000), 1000, DRAWN, DRAWN),
    "early and unsolved": Case(
        GOOD._replace(not_before_ms=NOON_MS + 1700, solved_bits=0), 1000, UNSOLVED, UNSOLVED
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("policy", [ASKED, TicketPolicy()], ids=["asked", "unasked"])
async def test_ticket_draws_in_its_opening_and_time_alone(
    table: Table, case: Case, policy: TicketPolicy
) -> None:
    """E: required, of this opening, in its time, with its puzzle solved; a shown one counts."""
    await table.configure(replace(CONFIG, draw_tickets=policy), NOON_MS)
    await table.set_ms(NOON_MS + case.at_ms)
    expected = case.asked if policy.required else case.unasked
    assert expected == await table.draw("a", case.ticket)
    live = await table.store.inspect(POOL)
    assert live is not None
    assert (expected == DRAWN) == live.seq


async def test_known_request_id_replays_whatever_its_ticket_is_worth(table: Table) -> None:
    """X2: a retry is answered after the ticket's end, without its solution, after a new opening."""
    await table.configure(CONFIG, NOON_MS)
    await table.draw("a", GOOD)
    await table.configure(replace(CONFIG, status=PoolStatus.PAUSED), NOON_MS + 60_000)
    await table.configure(CONFIG, NOON_MS + 61_000)
    for ticket in (GOOD, GOOD._replace(solved_bits=0), NO_TICKET, None):
        assert (DrawCode.REPLAYED, 0) == await table.draw("a", ticket)


async def test_opening_begins_with_the_start_and_with_each_reopening(table: Table) -> None:
    """E: what was issued before a start, or a pause, is worth nothing after it."""
    planned = replace(CONFIG, start_ms=NOON_MS)
    await table.configure(planned, NOON_MS - 9000)
    assert (PoolStatus.PLANNED, NOON_MS) == (await table.opening())[1:3]
    await table.configure(replace(planned, cooldown_ms=1), NOON_MS - 5000)
    await table.set_ms(NOON_MS)
    assert Opening(NOON_MS, PoolStatus.OPEN, NOON_MS, ASKED) == await table.opening()
    await table.configure(replace(planned, draw_tickets=TicketPolicy()), NOON_MS + 1000)
    assert (PoolStatus.OPEN, NOON_MS, TicketPolicy()) == (await table.opening())[1:]
    await table.configure(replace(planned, status=PoolStatus.PAUSED), NOON_MS + 2000)
    await table.configure(replace(planned, status=PoolStatus.PAUSED), NOON_MS + 3000)
    assert PoolStatus.PAUSED is (await table.opening()).status
    await table.configure(planned, NOON_MS + 4000)
    assert (PoolStatus.OPEN, NOON_MS + 4000) == (await table.opening())[1:3]
    assert EXPIRED == await table.draw("a", GOOD)


async def test_opening_begins_anew_when_an_end_that_has_passed_is_put_off(table: Table) -> None:
    """A pool that time had ended, and its operator extends, is another opening."""
    await table.configure(replace(CONFIG, end_ms=NOON_MS + 1000), NOON_MS)
    await table.configure(replace(CONFIG, end_ms=NOON_MS + 9000), NOON_MS + 500)
    assert NOON_MS == (await table.opening()).opening_ms
    await table.configure(CONFIG, NOON_MS + 9000)
    assert NOON_MS + 9000 == (await table.opening()).opening_ms


async def test_opening_is_not_told_of_a_pool_that_is_not_loaded(table: Table) -> None:
    """Nothing is issued for a pool that does not draw."""
    await table.set_ms(NOON_MS)
    assert await table.store.opening(POOL) is None
