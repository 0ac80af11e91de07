"""The audit of the books, on real draws that the tests tamper with."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from redis.asyncio import Redis

from services.pool.books.collector import Auditor
from services.pool.books.findings import Finding, Kind
from services.pool.rule.selection import PPB, Mode
from services.pool.rule.terms import PoolConfig, PrizeConfig
from services.pool.store.keys import key, ledger_key
from services.pool.store.layout import pack_config
from tests.support.books import Pool, open_pool
from tests.support.boxes import BOX_KINDS

Tamper = Callable[[Pool], Awaitable[object]]


@pytest.fixture
async def pool(postgres: asyncpg.Pool, redis: Redis) -> Pool:
    """A prize of 6 units and one of 9: draws 1–4 won the first, 5–6 missed, 7–8, in flight, won."""
    pool = await open_pool(postgres, redis, 6, 9)
    await pool.configure(1.0, 0.0)
    await pool.draw(4)
    await pool.configure(0.0, 0.0)
    await pool.draw(2)
    await pool.record()
    await pool.configure(1.0, 0.0)
    await pool.draw(1)
    await pool.draw(1)
    return pool


async def _audit(pool: Pool) -> list[Finding]:
    auditor = Auditor(pool.postgres, pool.redis)
    findings = await auditor.audit_pool(pool.pool_id)
    assert findings is not None
    return [*findings, *await auditor.audit_winner_list()]


async def test_books_balance_before_the_first_draw(postgres: asyncpg.Pool, redis: Redis) -> None:
    """A fresh pool owes nothing."""
    fresh = await open_pool(postgres, redis, 3)
    await fresh.configure(0.5)
    assert [] == await _audit(fresh)


async def test_books_balance_while_draws_are_in_flight(pool: Pool) -> None:
    """Units won, but not recorded yet, are read from the ledger."""
    assert [] == await _audit(pool)


async def test_books_balance_when_all_is_recorded(pool: Pool) -> None:
    """Recording moves units from flight to Postgres; none is lost by it."""
    await pool.record()
    assert [] == await _audit(pool)


async def test_books_balance_when_a_publication_is_not_committed_yet(pool: Pool) -> None:
    """Units that Redis already has, and the ledger brings to Postgres, are no difference."""
    pool.units[1] += 5
    await pool.publish(0.0, 1.0)
    await pool.draw(3)
    assert [] == await _audit(pool)


async def test_books_balance_when_a_prize_is_withdrawn(pool: Pool) -> None:
    """A withdrawn prize has as many units as were won of it, in flight or not."""
    await pool.publish(0.0, 0.5, retired=[0])
    await pool.draw(2)
    await pool.record()
    assert [] == await _audit(pool)


async def test_books_balance_when_a_gap_is_known(pool: Pool) -> None:
    """After a rebuild the ledger goes on past a gap that is written down."""
    await pool.record()
    await pool.postgres.execute(
        "INSERT INTO ledger_gaps VALUES ($1, 9, 1000, 'rebuilt')", pool.pool_id
    )
    await pool.redis.hset(key(pool.pool_id, "state"), "seq", 1000)
    await pool.draw(2)
    assert [] == await _audit(pool)
    await pool.record()
    assert [] == await _audit(pool)


async def test_books_balance_at_any_moment_of_drawing_and_recording(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """An audit needs no silence: each of many, taken amid draws and batches, is exact."""
    pool = await open_pool(postgres, redis, 200, 300)
    await pool.configure(0.3, 0.4)
    over = asyncio.Event()

    async def draw() -> None:
        for count in range(1, 60):
            await pool.draw(count % 20 + 1)
        over.set()

    async def repeat(work: Callable[[], Awaitable[object]]) -> int:
        rounds = 0
        while not over.is_set():
            assert await work() in (None, [])
            rounds += 1
        return rounds

    async with asyncio.TaskGroup() as group:
        group.create_task(draw())
        records = group.create_task(repeat(pool.record))
        audits = group.create_task(repeat(lambda: _audit(pool)))
    assert records.result() > 0
    assert audits.result() > 0
    assert [] == await _audit(pool)


def _sql(statement: str) -> Tamper:
    """Runs *statement*; $1 is the pool."""
    return lambda pool: pool.postgres.execute(statement, pool.pool_id)


async def _forge_entry(pool: Pool) -> None:
    await pool.redis.xadd(ledger_key(pool.pool_id), {"d": b"\xc1"}, id="9-0")
    await pool.redis.hset(key(pool.pool_id, "state"), "seq", 9)


async def _forge_units(pool: Pool) -> None:
    prizes = (PrizeConfig(pool.prize_ids[0], 5, PPB), PrizeConfig(pool.prize_ids[1], 9))
    config = PoolConfig(Mode.ODDS, prizes, activity_id=pool.activity_id)
    await pool.redis.set(key(pool.pool_id, "config"), pack_config(pool.version, config))


async def _forge_version(pool: Pool) -> None:
    await pool.record()
    await pool.postgres.execute("UPDATE pools SET version = 1 WHERE id = $1", pool.pool_id)


async def _move_stock(pool: Pool) -> None:
    await pool.redis.hincrby(key(pool.pool_id, "stock"), str(pool.prize_ids[0]), 1)
    await pool.redis.hincrby(key(pool.pool_id, "stock"), str(pool.prize_ids[1]), -2)


# (what was done, kind, place of the prize or None for the pool, off by)
TAMPERINGS: list[tuple[str, Tamper, set[tuple[Kind, int | None, int]]]] = [
    (
        "a record of a miss is deleted",
        _sql("DELETE FROM lottery_records WHERE pool_id = $1 AND seq = 5"),
        {(Kind.RECORDS_MISSING, None, -1), (Kind.POOL_COUNT, None, 1)},
    ),
    (
        "a record of a win is deleted",
        _sql("DELETE FROM lottery_records WHERE pool_id = $1 AND seq = 2"),
        {
            (Kind.RECORDS_MISSING, None, -1),
            (Kind.POOL_COUNT, None, 1),
            (Kind.WON_COUNT, 0, 1),
            (Kind.WINNER_UNFOUNDED, 0, 1),
            (Kind.STOCK, 0, -1),
        },
    ),
    (
        "the newest records are deleted",
        _sql("DELETE FROM lottery_records WHERE pool_id = $1 AND seq >= 5"),
        {(Kind.RECORDS_MISSING, None, -2), (Kind.POOL_COUNT, None, 2)},
    ),
    (
        "a record is invented",
        _sql(
            "INSERT INTO lottery_records (pool_id, seq, user_id, request_id, draw_index,"
            " draw_count, user_draw_no, version, ticket, odds_weight, odds_total, created_at)"
            " VALUES ($1, 70, 1, 'x', 0, 1, 2, 1, 0, 1, 1, now())"
        ),
        {(Kind.RECORDS_BEYOND, None, 1), (Kind.POOL_COUNT, None, -1)},
    ),
    (
        "won_count is lowered",
        _sql("UPDATE prizes SET won_count = won_count - 1 WHERE pool_id = $1 AND won_count > 0"),
        {(Kind.WON_COUNT, 0, -1)},
    ),
    (
        "total_count is raised",
        _sql(
            "UPDATE prizes SET total_count = total_count + 3 WHERE pool_id = $1 AND won_count = 0"
        ),
        {(Kind.UNITS_DIFFER, 1, -3)},
    ),
    (
        "the pool's counters are raised",
        _sql("UPDATE pools SET draws = draws + 2 WHERE id = $1"),
        {(Kind.POOL_COUNT, None, 2)},
    ),
    (
        "a user is counted twice",
        _sql("UPDATE pools SET unique_users = unique_users - 1 WHERE id = $1"),
        {(Kind.POOL_COUNT, None, -1), (Kind.USERS, None, 1)},
    ),
    (
        "the newest winner is deleted",
        _sql("DELETE FROM winners WHERE pool_id = $1 AND seq = 4"),
        {(Kind.WINNER_MISSING, 0, -1), (Kind.WINNER_NUMBERS, None, -1)},
    ),
    (
        "a winner in the middle is deleted",
        _sql("DELETE FROM winners WHERE pool_id = $1 AND seq = 2"),
        {(Kind.WINNER_MISSING, 0, -1), (Kind.WINNER_NUMBERS, None, -1)},
    ),
    (
        "a winner is replaced",
        _sql("UPDATE winners SET user_id = 77 WHERE pool_id = $1 AND seq = 3"),
        {(Kind.WINNER_DIFFERS, 0, 0)},
    ),
    (
        "recording is halted",
        _sql("UPDATE pools SET halted_reason = 'a constraint' WHERE id = $1"),
        {(Kind.HALTED, None, 0)},
    ),
    (
        "stock is off by one and two",
        _move_stock,
        {(Kind.STOCK, 0, 1), (Kind.STOCK, 1, -2)},
    ),
    (
        "fewer units than winners",
        _forge_units,
        {
            (Kind.UNITS_DIFFER, 0, -1),
            (Kind.STOCK, 0, 1),
            (Kind.OVERSOLD, 0, 1),
        },
    ),
    (
        "a draw in flight is removed",
        lambda pool: pool.redis.xdel(ledger_key(pool.pool_id), "7-0"),
        {
            (Kind.LEDGER_GAP, None, -1),
            (Kind.STOCK, 0, -1),
            (Kind.USERS, None, 1),
        },
    ),
    (
        "an entry in flight is garbage",
        _forge_entry,
        {(Kind.LEDGER_UNREADABLE, None, 0), (Kind.LEDGER_GAP, None, -1)},
    ),
    (
        "a user is forgotten",
        lambda pool: pool.redis.hdel(key(pool.pool_id, "users"), "3"),
        {(Kind.USERS, None, -1)},
    ),
    (
        "the pool is gone from Redis",
        lambda pool: pool.redis.delete(key(pool.pool_id, "config")),
        {(Kind.NOT_LOADED, None, 0)},
    ),
    (
        "Redis lost its newest draws",
        lambda pool: pool.redis.hset(key(pool.pool_id, "state"), "seq", 4),
        {(Kind.REDIS_BEHIND, None, -2)},
    ),
    (
        "Postgres lost a configuration",
        _forge_version,
        {(Kind.VERSIONS_DIFFER, None, 0)},
    ),
]


@pytest.mark.parametrize(
    ("tamper", "expected"), [t[1:] for t in TAMPERINGS], ids=[t[0] for t in TAMPERINGS]
)
async def test_audit_names_what_is_off_and_by_how_much_when(
    pool: Pool, tamper: Tamper, expected: set[tuple[Kind, int | None, int]]
) -> None:
    """Every tampering is found, at its pool and prize, to the unit; nothing else is."""
    await tamper(pool)
    places = {prize_id: place for place, prize_id in enumerate(pool.prize_ids)}
    findings = await _audit(pool)
    found = {(f.kind, places[f.prize_id] if f.prize_id else None, f.off_by) for f in findings}
    assert expected == found
    assert {pool.pool_id, None} >= {f.pool_id for f in findings}


async def test_tamperings_cover_every_kind_of_finding() -> None:
    """A new kind of finding needs a tampering that provokes it; those of boxes have their own."""
    provoked = {kind for _, _, expected in TAMPERINGS for kind, _, _ in expected}
    assert set(Kind) - BOX_KINDS == provoked


async def test_audit_reports_no_such_pool_when_it_does_not_exist(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A pool that never was is told from one that balances."""
    assert await Auditor(postgres, redis).audit_pool(404) is None


async def test_audit_reads_a_long_flight_to_its_end(postgres: asyncpg.Pool, redis: Redis) -> None:
    """More entries in flight than one page holds are all accounted for."""
    pool = await open_pool(postgres, redis, 2000)
    await pool.configure(0.9)
    for _ in range(1100):
        await pool.draw(1)
    assert [] == await _audit(pool)
