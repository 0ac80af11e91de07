"""The recorder between a real ledger and a real Postgres."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import asyncpg
import msgpack
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis
from structlog.testing import capture_logs

from services.pool.ledger.entries import ConfigEntry, PrizeUnits
from services.pool.rule.prize_code import code_prefix, prize_code
from services.pool.store.keys import CONFIRM_CHANNEL, FEED_CHANNEL, key, ledger_key
from services.recorder import metrics
from tests.support.blindbox import ItemSpec
from tests.support.box_sales import open_shop
from tests.support.history import (
    PPB,
    START_MS,
    LedgerWriter,
    PrizeSpec,
    books,
    changed,
    eventually,
    expected_books,
    make_pool,
    make_users,
    next_version,
    recording,
    until_recorded,
)

Outcomes = list[tuple[int, int]]


def random_outcomes(seed: int, users: list[int], prizes: list[PrizeSpec], count: int) -> Outcomes:
    """*count* draws, about half of which win."""
    chooser = random.Random(seed)
    return [
        (chooser.choice(users), chooser.choice([0, *(prize.prize_id for prize in prizes)]))
        for _ in range(count)
    ]


async def draw_in_entries(writer: LedgerWriter, outcomes: Outcomes, size: int) -> None:
    """Write *outcomes* in entries of *size* draws."""
    for first in range(0, len(outcomes), size):
        await writer.draw(outcomes[first : first + size])


async def win_numbers(postgres: asyncpg.Pool) -> list[int]:
    """All numbers of the winner list, in order."""
    rows = await postgres.fetch("SELECT win_no FROM winners ORDER BY win_no")
    return [row["win_no"] for row in rows]


async def halted_reason(postgres: asyncpg.Pool, pool_id: int) -> str:
    """Why the pool is halted; empty: it is not."""
    reason: str = await postgres.fetchval("SELECT halted_reason FROM pools WHERE id = $1", pool_id)
    return reason


async def until_halted(postgres: asyncpg.Pool, pool_id: int) -> str:
    """Wait for the pool to be halted; the reason."""

    async def is_halted() -> bool:
        return await halted_reason(postgres, pool_id) != ""

    await eventually(is_halted)
    return await halted_reason(postgres, pool_id)


async def test_recorder_writes_every_draw_once_when_ledger_is_long(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Rows, winners, prize counts and pool counters follow from the ledger, exactly."""
    users = await make_users(postgres, 20)
    writer, prizes = await make_pool(postgres, redis)
    outcomes = random_outcomes(1, users, prizes, 1200)
    async with recording(postgres_dsn, redis_url, batch_draws=100, read_ahead_draws=250):
        await draw_in_entries(writer, outcomes, 7)
        await until_recorded(postgres, writer)
    assert expected_books(outcomes, prizes) == await books(postgres, writer.pool_id)


async def test_recorder_fills_rows_from_the_configuration_that_held(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A row tells all that the ledger knows; a renamed prize keeps the name it was won under."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, _) = await make_pool(postgres, redis)
    await writer.draw([(user, prize.prize_id)])
    before = writer.version
    renamed = [changed(prize, name="A finer mug")]
    await writer.configure(await next_version(postgres), renamed)
    await writer.draw([(user, prize.prize_id)])
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    rows = await postgres.fetch(
        "SELECT activity_id, user_id, request_id, draw_index, draw_count, user_draw_no, version,"
        " prize_id, prize_name, ticket, odds_weight, odds_total FROM lottery_records ORDER BY seq"
    )
    same = (writer.activity_id, user)
    odds = (5, PPB // 4, PPB)
    assert [
        (*same, f"r-{user}-1", 0, 1, 1, before, prize.prize_id, "Prize 0", *odds),
        (*same, f"r-{user}-2", 0, 1, 2, writer.version, prize.prize_id, "A finer mug", *odds),
    ] == [tuple(row) for row in rows]


async def test_recorder_gives_winners_their_codes_and_users_their_last_draw(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """The prize code is the one the draw service shows; last_lottery_at is the newest draw."""
    winner, loser = await make_users(postgres, 2)
    writer, (prize, _) = await make_pool(postgres, redis)
    await writer.draw([(loser, 0), (winner, prize.prize_id)])
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    codes = await postgres.fetch("SELECT user_id, prize_name, prize_code FROM winners")
    code = prize_code(writer.pool_id, 2, (1).to_bytes(5))
    assert [(winner, "Prize 0", code)] == [tuple(row) for row in codes]
    drawn = await postgres.fetch(
        "SELECT (extract(epoch FROM last_lottery_at) * 1000)::bigint FROM users"
    )
    assert [START_MS + 2] * 2 == [row[0] for row in drawn]


async def test_recorder_reads_entries_of_the_draw_service_before_this_one(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Codes among the draws, as they once were, are recorded as their winners were told them."""
    winner, loser = await make_users(postgres, 2)
    writer, (prize, _) = await make_pool(postgres, redis)
    draws = [
        [loser, "a", 0, 1, 1, 0, 9, PPB // 2, PPB, b""],
        [winner, "a", 0, 1, 1, prize.prize_id, 5, PPB // 4, PPB, b"\x80\0\0\0"],
    ]
    packed = msgpack.packb([START_MS, writer.version, draws], use_bin_type=False)
    await redis.xadd(ledger_key(writer.pool_id), {"d": packed, "h": "ab" * 20}, id="2-0")
    writer.seq = 2
    await writer.draw([(winner, prize.prize_id)])
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    codes = await postgres.fetch("SELECT seq, prize_code FROM winners ORDER BY seq")
    assert [
        (2, f"{code_prefix(writer.pool_id, 2)}G0000"),
        (3, prize_code(writer.pool_id, 3, (1).to_bytes(5))),
    ] == [tuple(row) for row in codes]


async def test_reason_of_a_halt_tells_no_prize_code(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Postgres quotes the row that it refuses; neither the log nor the reason passes that on."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, _) = await make_pool(postgres, redis)
    await postgres.execute(
        "ALTER TABLE winners ADD CONSTRAINT no_more CHECK (prize_name <> 'Prize 0')"
    )
    await writer.draw([(user, prize.prize_id)])
    with capture_logs() as events:
        async with recording(postgres_dsn, redis_url):
            reason = await until_halted(postgres, writer.pool_id)
    (halt,) = [event for event in events if event["event"] == "pool halts"]
    logged = str(halt["exc_info"])
    code = prize_code(writer.pool_id, 1, (1).to_bytes(5))
    assert ("no_more" in reason, "no_more" in logged) == (True, True)
    assert (code in reason, code in logged) == (False, False)


async def test_win_numbers_have_no_gap_when_pools_are_recorded_at_once(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Two recorders on six pools give 1, 2, 3, … over all, and in each pool."""
    users = await make_users(postgres, 10)
    pools = [await make_pool(postgres, redis) for _ in range(6)]
    drawn = [random_outcomes(n, users, pools[n][1], 300) for n in range(6)]
    async with (
        recording(postgres_dsn, redis_url, batch_draws=20),
        recording(postgres_dsn, redis_url, batch_draws=20),
        asyncio.TaskGroup() as tasks,
    ):
        for (writer, _), outcomes in zip(pools, drawn, strict=True):
            tasks.create_task(draw_in_entries(writer, outcomes, 5))
        for writer, _ in pools:
            tasks.create_task(until_recorded(postgres, writer))
    wins = sum(prize_id != 0 for outcomes in drawn for _, prize_id in outcomes)
    assert list(range(1, wins + 1)) == await win_numbers(postgres)
    for (writer, prizes), outcomes in zip(pools, drawn, strict=True):
        assert expected_books(outcomes, prizes) == await books(postgres, writer.pool_id)


async def test_recorder_notices_a_pool_made_while_it_runs(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A new activity needs no restart."""
    (user,) = await make_users(postgres, 1)
    async with recording(postgres_dsn, redis_url):
        first, _ = await make_pool(postgres, redis)
        await until_recorded(postgres, first)
        second, (prize, _) = await make_pool(postgres, redis)
        await second.draw([(user, prize.prize_id)])
        await until_recorded(postgres, second)
    assert [(1, 1, prize.prize_id)] == (await books(postgres, second.pool_id)).wins


async def test_second_recorder_takes_over_when_the_first_stops(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """The pools of a recorder that is gone are recorded by another."""
    (user,) = await make_users(postgres, 1)
    writer, prizes = await make_pool(postgres, redis)
    async with recording(postgres_dsn, redis_url):
        await writer.draw([(user, 0)])
        await until_recorded(postgres, writer)
        async with recording(postgres_dsn, redis_url):
            await writer.draw([(user, 0)])
            await until_recorded(postgres, writer)
    async with recording(postgres_dsn, redis_url):
        await writer.draw([(user, prizes[0].prize_id)])
        await until_recorded(postgres, writer)
    outcomes = [(user, 0), (user, 0), (user, prizes[0].prize_id)]
    assert expected_books(outcomes, prizes) == await books(postgres, writer.pool_id)


async def test_gap_halts_its_pool_alone_until_the_reason_is_cleared(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A missing draw is an alarm; the pool goes on once an operator has noted the gap."""
    (user,) = await make_users(postgres, 1)
    broken, _ = await make_pool(postgres, redis)
    sound, _ = await make_pool(postgres, redis)
    await broken.draw([(user, 0)])
    broken.seq += 5
    await broken.draw([(user, 0)])
    async with recording(postgres_dsn, redis_url):
        assert "draw 2 expected" in await until_halted(postgres, broken.pool_id)
        await sound.draw([(user, 0)])
        await until_recorded(postgres, sound)
        await eventually(_halted_pools_are(1))
        await postgres.execute(
            "INSERT INTO ledger_gaps (pool_id, first_seq, last_seq, reason)"
            " VALUES ($1, 2, 6, 'rebuilt')",
            broken.pool_id,
        )
        await postgres.execute("UPDATE pools SET halted_reason = ''")
        await until_recorded(postgres, broken)
    assert [1, 7] == [seq for seq, _, _ in (await books(postgres, broken.pool_id)).draws]


def _halted_pools_are(count: int) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return bool(metrics.HALTED_POOLS._value.get() == count)

    return is_so


async def test_oversold_prize_halts_the_pool_and_records_nothing_of_the_batch(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """More winners than units cannot be stored: the last layer holds, and says so."""
    users = await make_users(postgres, 3)
    writer, (prize,) = await make_pool(postgres, redis, prizes=1, units=2)
    await writer.draw([(user, prize.prize_id) for user in users])
    async with recording(postgres_dsn, redis_url):
        reason = await until_halted(postgres, writer.pool_id)
    assert "prizes_never_oversold" in reason
    assert ([], []) == ((found := await books(postgres, writer.pool_id)).draws, found.wins)


async def test_malformed_entry_halts_the_pool(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """An entry that nobody can read is never skipped."""
    writer, _ = await make_pool(postgres, redis)
    await redis.xadd(ledger_key(writer.pool_id), {"d": b"\xc1"}, id="1-0")
    async with recording(postgres_dsn, redis_url):
        assert "MalformedEntryError" in await until_halted(postgres, writer.pool_id)


async def test_configuration_published_but_not_committed_is_repaired(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """What the ledger holds and the administration could not commit reaches Postgres."""
    (user,) = await make_users(postgres, 1)
    writer, (kept, dropped) = await make_pool(postgres, redis)
    lost_id = await postgres.fetchval("SELECT nextval('prizes_id_seq')")
    prizes = [
        changed(kept, name="Renamed", units=7, weight=5),
        changed(dropped, units=0, retired=True),
        PrizeSpec(lost_id, units=3, name="Lost"),
    ]
    await writer.configure(
        await next_version(postgres),
        prizes,
        status=pool_pb2.POOL_STATUS_PAUSED,
        end_ms=START_MS + 60_000,
        confirm=pool_pb2.CONFIRM_RECORDED,
        draw_tickets=pool_pb2.TicketPolicy(required=True, difficulty=9, spread_ms=700),
        limits=pool_pb2.UserLimits(
            cooldown_ms=2000, draws_per_user=4, draws_per_day=3, wins_per_user=2
        ),
    )
    await writer.draw([(user, lost_id)])
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    rows = await postgres.fetch(
        "SELECT id, name, total_count, won_count, probability_ppb, deleted_at IS NOT NULL"
        " FROM prizes ORDER BY id"
    )
    assert [
        (kept.prize_id, "Renamed", 7, 0, 5, False),
        (dropped.prize_id, "Prize 1", 0, 0, PPB // 4, True),
        (lost_id, "Lost", 3, 1, PPB // 4, False),
    ] == [tuple(row) for row in rows]
    activity = await postgres.fetchrow(
        "SELECT a.status, extract(epoch FROM end_time)::bigint, cooldown_seconds,"
        " max_draws_per_user, max_draws_per_day, max_wins_per_user, confirm, p.version,"
        " ticket_required, ticket_difficulty, ticket_spread_ms"
        " FROM activities AS a JOIN pools AS p ON p.id = a.pool_id"
    )
    end_s = START_MS // 1000 + 60
    assert ("paused", end_s, 2, 4, 3, 2, "recorded", writer.version, True, 9, 700) == tuple(
        activity
    )


async def test_configuration_that_was_committed_is_not_repaired(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Where Postgres is as new as the ledger, the administration's word stands."""
    writer, _ = await make_pool(postgres, redis)
    await postgres.execute("UPDATE prizes SET description = 'ours', name = 'ours'")
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    assert ["ours"] * 2 == [row[0] for row in await postgres.fetch("SELECT name FROM prizes")]
    version = await postgres.fetchrow("SELECT version, after_seq FROM pool_versions")
    assert (writer.version, 0) == tuple(version)


async def test_last_prize_makes_no_second_user(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A last prize bears its user's draw number again, and still counts nobody twice."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, extra) = await make_pool(postgres, redis)
    entry = writer.entry([(user, prize.prize_id), (user, extra.prize_id)])
    last = entry.draws[1]._replace(draw_index=1, user_draw_no=1)
    await writer.add(entry._replace(draws=[entry.draws[0], last]))
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    assert (2, 2, 1, 2) == (await books(postgres, writer.pool_id)).counters


async def test_nudge_follows_the_commit_and_names_the_newest_win(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Whoever hears the nudge finds the winner in Postgres."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, _) = await make_pool(postgres, redis)
    async with redis.pubsub() as nudges, recording(postgres_dsn, redis_url):
        await nudges.subscribe(FEED_CHANNEL)
        await nudges.get_message(timeout=5)
        await writer.draw([(user, prize.prize_id), (user, prize.prize_id)])
        async with asyncio.timeout(10):
            nudge = await anext(nudges.listen())
        assert ([1, 2], b"2") == (await win_numbers(postgres), nudge["data"])


async def test_who_waits_for_a_win_is_told_after_the_commit(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Of entries whose wins are told to nobody before, and of no others: the pool, and how far."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, _) = await make_pool(postgres, redis)
    async with redis.pubsub() as words, recording(postgres_dsn, redis_url):
        await words.subscribe(CONFIRM_CHANNEL)
        await words.get_message(timeout=5)
        await writer.draw([(user, prize.prize_id)])
        await until_recorded(postgres, writer)
        await writer.add(writer.entry([(user, prize.prize_id)])._replace(announced=False))
        async with asyncio.timeout(10):
            word = await anext(words.listen())
        assert ([1, 2], f"{writer.pool_id} 2".encode()) == (
            await win_numbers(postgres),
            word["data"],
        )


async def test_ledger_is_trimmed_behind_the_margin_alone(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Recorded draws leave the stream, the newest of them stay, and the store is told."""
    (user,) = await make_users(postgres, 1)
    writer, _ = await make_pool(postgres, redis)
    ledger, told = ledger_key(writer.pool_id), key(writer.pool_id, "recorded")
    async with recording(postgres_dsn, redis_url, ledger_keep_draws=100, batch_draws=50):
        await draw_in_entries(writer, [(user, 0)] * 1000, 1)
        await until_recorded(postgres, writer)
        await eventually(_is(redis, told, b"1000"))
    (stream_id, _), *_ = cast(Any, await redis.xrange(ledger, count=1))
    assert 1 < int(stream_id.split(b"-")[0]) <= 900


def _is(redis: Redis, key: str, value: bytes) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return bool(await redis.get(key) == value)

    return is_so


async def test_recorder_says_how_far_it_got_when_it_could_not_before(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A crash between commit and telling must not leave the store shedding draws for good."""
    (user,) = await make_users(postgres, 1)
    writer, _ = await make_pool(postgres, redis)
    told = key(writer.pool_id, "recorded")
    await writer.draw([(user, 0)])
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    await redis.delete(told)
    async with recording(postgres_dsn, redis_url):
        await eventually(_is(redis, told, b"1"))


async def test_blind_box_is_recorded_without_an_activity(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A pool without an activity has its draws, winners and counts too."""
    shop = await open_shop(postgres, redis, ItemSpec(stock=3))
    box = await shop.open_box()
    await shop.buy(box, 7, 2)
    (prize_id,) = box.prize_ids

    async def is_recorded() -> bool:
        return (await books(postgres, box.pool_id)).won_counts == {prize_id: 2}

    async with recording(postgres_dsn, redis_url):
        await eventually(is_recorded)
    found = await books(postgres, box.pool_id)
    wins = [(1, 1, prize_id), (2, 2, prize_id)]
    assert (wins, (2, 2, 1, 2)) == (found.wins, found.counters)
    assert [None] * 2 == [row[0] for row in await postgres.fetch("SELECT activity_id FROM winners")]


async def test_blind_box_that_gave_nothing_halts_its_pool(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Every draw of a box wins; a miss is never taken for one."""
    shop = await open_shop(postgres, redis, ItemSpec())
    box = await shop.open_box()
    writer = LedgerWriter(redis, box.pool_id, version=box.version)
    await writer.draw([(7, 0)])
    async with recording(postgres_dsn, redis_url):
        assert "is a miss" in await until_halted(postgres, box.pool_id)


async def test_units_json_names_every_prize(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """pool_versions keeps the units that resulted from a change."""
    writer, prizes = await make_pool(postgres, redis)
    units = [PrizeUnits(prize.prize_id, 4, 2) for prize in prizes]
    entry: ConfigEntry = await writer.configure(await next_version(postgres), prizes)
    await redis.delete(ledger_key(writer.pool_id))
    await writer.add(entry._replace(units=units))
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    found = await postgres.fetchval("SELECT units::text FROM pool_versions")
    assert [[prize.prize_id, 4, 2] for prize in prizes] == json.loads(found)
