"""Ledgers made by the real scripts and recorded for real: true ones pass, tampering is found."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
from redis.asyncio import Redis

from services.common.postgres import Connection
from services.pool.rule.replay import DiscrepancyError
from services.pool.rule.selection import PPB
from services.pool.store.keys import key
from tests.support.command import run_kuji
from tests.support.draws import SEED
from tests.support.ledgers import (
    OPEN,
    PAUSED,
    TICKETS,
    WEIGHTS,
    Campaign,
    add_prize,
    export_pool,
    open_campaign,
    snapshot,
    verify_file,
    verify_pool,
)
from tests.support.tampering import (
    Tamper,
    Tampering,
    change_config,
    change_draw,
    copy_draw,
    remove_config,
    remove_draws,
    run_sql,
    scratch_database,
    shift_draws,
    swap_draws,
)

_DATABASE = "ledger_to_tamper_with"


async def _odds_campaign(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    """
    21 draws in 6 entries: 1–5, 6–8, configuration 2, 9, configuration 3, 10–19, 20, 21;
    and a configuration 4 after them.
    """
    prizes = [{"units": 2, "weight": PPB // 5, "wins_per_user": 1}, {"weight": PPB // 4}]
    campaign = await open_campaign(postgres, redis, prizes)
    await campaign.draw(*[(user, "first") for user in range(1, 6)])
    await campaign.draw(*[(user, "second") for user in range(1, 4)])
    campaign.config.prizes[0].units = 5
    campaign.config.prizes[1].weight = PPB // 3
    await campaign.publish()
    await campaign.draw((9, "x" * 64))
    await add_prize(campaign, units=40)
    campaign.config.limits.draws_per_user = 3
    await campaign.publish()
    await campaign.draw(*[(user, "third") for user in range(1, 11)])
    await campaign.draw((11, "r"))
    await campaign.draw((12, "r"))
    campaign.config.prizes[2].retired = True
    await campaign.publish()
    await campaign.record()
    return campaign


class Ledger(NamedTuple):
    """The recorded ledger of _odds_campaign."""

    postgres: asyncpg.Pool
    pool_id: int


@pytest.fixture(scope="module")
async def ledger(postgres_server: str, redis_url: str) -> AsyncIterator[Ledger]:
    """One ledger for all tamperings: each works in a transaction that is rolled back."""
    async with scratch_database(postgres_server, _DATABASE) as postgres:
        async with Redis.from_url(redis_url) as client:
            await client.flushall()
            pool_id = (await _odds_campaign(postgres, client)).pool_id
        yield Ledger(postgres, pool_id)


async def test_ledger_verifies_when_odds_and_prizes_change(ledger: Ledger, tmp_path: Path) -> None:
    """Each draw is held to the configuration of its moment, in Postgres and in a file."""
    async with snapshot(ledger.postgres) as connection:
        assert 21 == await verify_pool(connection, ledger.pool_id)
        file = await export_pool(connection, ledger.pool_id, tmp_path / "ledger.jsonl.gz")
    assert 21 == verify_file(file)


async def test_ledger_verifies_when_tickets_sell_out_with_a_last_prize(
    postgres: asyncpg.Pool, redis: Redis, tmp_path: Path
) -> None:
    """T tickets yield T + 1 items, in draws of n, under the chances of a shrinking stock."""
    prizes = [{"units": n, "weight": 0} for n in (1, 2, 20)]
    last = {"units": 1, "weight": 0, "last_prize": True}
    campaign = await open_campaign(postgres, redis, [*prizes, last], mode=TICKETS)
    await campaign.draw((1, "a", 10), (2, "a", 1))
    campaign.config.prizes[2].units += 2
    await campaign.publish()
    await campaign.draw((1, "b", 13))
    await campaign.draw((3, "a", 1))
    await campaign.record()
    assert 26 == await campaign.verify()
    async with snapshot(postgres) as connection:
        file = await export_pool(connection, campaign.pool_id, tmp_path / "ledger.jsonl")
    assert 26 == verify_file(file)


async def test_ledger_verifies_when_weights_have_unlimited_stock(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Fixed weights, weights of stock and prizes without end, retired ones too."""
    prizes = [
        {"units": -1, "weight": 70},
        {"units": 4, "weight": 0},
        {"units": 9, "weight": 30, "wins_per_user": 2},
        {"units": -1, "weight": 1},
    ]
    campaign = await open_campaign(postgres, redis, prizes, mode=WEIGHTS)
    await campaign.draw((1, "a", 100), (2, "a", 7), (3, "a"))
    campaign.config.prizes[3].retired = True
    campaign.config.prizes[2].enabled = False
    await campaign.publish()
    await campaign.draw((2, "b", 50))
    await campaign.record()
    assert 158 == await campaign.verify()


async def test_ledger_verifies_when_limits_and_status_decided(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Refused draws leave no trace; what was allowed follows the limits, pauses included."""
    limits = {"draws_per_user": 2, "draws_per_day": 2, "wins_per_user": 1}
    campaign = await open_campaign(
        postgres, redis, [{"weight": PPB // 2}], limits={**limits, "day_offset_minutes": 540}
    )
    for _ in range(3):
        await campaign.ask(*[(user, f"r{_}") for user in range(1, 20)])
    campaign.config.status = PAUSED
    await campaign.publish()
    await campaign.ask((30, "r"))
    campaign.config.status = OPEN
    campaign.config.limits.Clear()
    await campaign.publish()
    await campaign.draw_fresh(5)
    await campaign.record()
    draws = await campaign.fetchval("SELECT count(*) FROM lottery_records WHERE pool_id = $1")
    assert draws == await campaign.verify()
    assert draws < 2 * 19 + 5


async def test_ledger_verifies_when_one_user_draws_twice_in_one_step(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """The count of a user's draws goes on within an entry."""
    campaign = await open_campaign(postgres, redis, [{}])
    await campaign.draw((1, "a"), (2, "a"), (1, "b"), (1, "c", 3), (2, "b"))
    await campaign.record()
    assert 7 == await campaign.verify()


async def test_ledger_verifies_before_the_first_draw(postgres: asyncpg.Pool, redis: Redis) -> None:
    """A pool without draws has nothing to hide."""
    campaign = await open_campaign(postgres, redis, [{}])
    assert 0 == await campaign.verify()
    await campaign.record()
    assert 0 == await campaign.verify()


async def _swap_misses(connection: Connection, pool_id: int) -> None:
    """Two misses in the entry 10–19: of one millisecond, one configuration, one chance."""
    rows = await connection.fetch(
        "SELECT seq FROM lottery_records WHERE pool_id = $1 AND seq BETWEEN 10 AND 19"
        " AND prize_id IS NULL ORDER BY seq LIMIT 2",
        pool_id,
    )
    await swap_draws(*[row["seq"] for row in rows])(connection, pool_id)


_LATER = "created_at = created_at + interval '1 ms'"
_OTHER_WEIGHT = "config = replace(config::text, '200000000', '200000001')::json"
_NO_LINK = "decode(repeat('00', 20), 'hex')"

TAMPERINGS = [
    Tampering(
        "prize given", change_draw(7, "prize_id = CASE coalesce(prize_id, 0) WHEN 0 THEN 1 END"), 7
    ),
    Tampering("ticket changed", change_draw(8, "ticket = ticket + 1"), 8),
    Tampering("odds changed", change_draw(4, "odds_weight = odds_weight + 1"), 4),
    Tampering("total changed", change_draw(12, "odds_total = odds_total * 2"), 12),
    Tampering("user changed", change_draw(13, "user_id = 77"), 13),
    Tampering("request id changed", change_draw(13, "request_id = 'other [/] one'"), 13),
    Tampering("count of the user's draws changed", change_draw(6, "user_draw_no = 1"), 6),
    Tampering("place within its request changed", change_draw(6, "draw_index = 1"), 6),
    Tampering("number of its request changed", change_draw(6, "draw_count = 2"), 6),
    Tampering("number of its request 0", change_draw(15, "draw_count = 0"), 15),
    Tampering("version changed", change_draw(11, "version = version - 1"), 11),
    Tampering("version of a lone draw changed", change_draw(9, "version = version - 1"), 9),
    Tampering("time of a lone draw changed", change_draw(9, _LATER), 9),
    Tampering("time of an entry's first draw changed", change_draw(6, _LATER), 6),
    Tampering("time within an entry changed", change_draw(7, _LATER), 7),
    Tampering("time of an entry's last draw changed", change_draw(19, _LATER), 19),
    Tampering("first draw removed", remove_draws(1, 1), 1),
    Tampering("draw within an entry removed", remove_draws(7, 7), 7),
    Tampering("last draw of an entry removed", remove_draws(8, 8), 8),
    Tampering("lone draw removed", remove_draws(9, 9), 9),
    Tampering("entry removed", remove_draws(10, 19), 10),
    Tampering("last draw removed", remove_draws(21, 21), 21),
    Tampering("draws of two entries swapped", swap_draws(5, 6), 1),
    Tampering("draws of one entry and different chances swapped", swap_draws(14, 17), 14),
    Tampering("misses of one entry swapped", _swap_misses, 10),
    Tampering(
        "renumbered after a removal",
        run_sql(
            "DELETE FROM lottery_records WHERE pool_id = $1 AND seq = 14", *shift_draws(14, -1)
        ),
        10,
    ),
    Tampering("draw appended", run_sql(copy_draw(21, 22)), 22),
    Tampering(
        "draw appended and counted",
        run_sql(copy_draw(21, 22), "UPDATE pools SET recorded_seq = 22 WHERE id = $1"),
        22,
    ),
    Tampering("draw inserted", run_sql(*shift_draws(14, 1), copy_draw(14, 15)), 15),
    Tampering("draw far beyond the end", run_sql(copy_draw(21, 40)), 22),
    Tampering("weight in a configuration changed", change_config(0, _OTHER_WEIGHT), 1),
    Tampering(
        "weight in a later configuration changed",
        change_config(1, "config = replace(config::text, '333333333', '333333334')::json"),
        9,
    ),
    Tampering(
        "chances that sum to more than 1",
        change_config(1, "config = replace(config::text, '333333333', '999999999')::json"),
        9,
    ),
    Tampering("configuration of no sense", change_config(1, "config = '{\"odds\": [1]}'"), 9),
    Tampering(
        "name of a prize changed",
        change_config(1, "config = replace(config::text, 'Bear', 'Fox')::json"),
        9,
    ),
    Tampering("moment of a configuration changed", change_config(1, "changed_at = now()"), 9),
    Tampering("units changed", change_config(1, "units = '[[1, 5, 5], [2, 100, 100]]'"), 9),
    Tampering("units of no sense", change_config(1, "units = '[[1], 7]'"), 9),
    Tampering("configuration moved back", change_config(1, "after_seq = 5"), 6),
    Tampering("configuration moved forward", change_config(1, "after_seq = 9"), 9),
    Tampering("first configuration removed", remove_config(0), 1),
    Tampering("configuration removed", remove_config(1), 9),
    Tampering("last configuration removed", remove_config(3), 22),
    Tampering(
        "link of an entry changed",
        run_sql(f"UPDATE ledger_links SET links[2] = {_NO_LINK} WHERE pool_id = $1"),
        6,
    ),
    Tampering("link of a configuration changed", change_config(2, f"link = {_NO_LINK}"), 10),
    Tampering("links removed", run_sql("DELETE FROM ledger_links WHERE pool_id = $1"), 1),
    Tampering(
        "removal passed off as a gap",
        run_sql(
            "DELETE FROM lottery_records WHERE pool_id = $1 AND seq = 20",
            "UPDATE ledger_links SET seqs = array_remove(seqs, 20),"
            " links = links[:4] || links[6:] WHERE pool_id = $1",
            "INSERT INTO ledger_gaps VALUES ($1, 20, 20, 'rebuild')",
        ),
        21,
    ),
    Tampering("gap invented", run_sql("INSERT INTO ledger_gaps VALUES ($1, 22, 30, 'x')"), 22),
]


@pytest.mark.parametrize(
    ("tamper", "first"), [t[1:] for t in TAMPERINGS], ids=[t.name for t in TAMPERINGS]
)
async def test_check_names_the_first_draw_concerned_when(
    ledger: Ledger, tmp_path: Path, tamper: Tamper, first: int
) -> None:
    """No change to what is recorded stays hidden; one that only a link shows is in its entry."""
    async with snapshot(ledger.postgres) as connection:
        await tamper(connection, ledger.pool_id)
        with pytest.raises(DiscrepancyError) as found:
            await verify_pool(connection, ledger.pool_id)
        assert first == found.value.seq, found.value
        with pytest.raises(DiscrepancyError) as found_in_file:
            verify_file(await export_pool(connection, ledger.pool_id, tmp_path / "ledger.gz"))
        assert str(found.value) == str(found_in_file.value)


async def test_check_names_the_first_draw_when_tickets_are_renumbered(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Where chances follow the stock, the draw after a removed one has the wrong total."""
    campaign = await open_campaign(
        postgres, redis, [{"units": 5, "weight": 0}, {"units": 9, "weight": 0}], mode=TICKETS
    )
    await campaign.draw(*[(user, "r") for user in range(1, 9)])
    await campaign.record()
    for statement in (
        "DELETE FROM lottery_records WHERE pool_id = $1 AND seq = 3",
        *shift_draws(3, -1),
    ):
        await campaign.execute(statement)
    with pytest.raises(DiscrepancyError, match="total is 11, and follows as 12") as found:
        await campaign.verify()
    assert 3 == found.value.seq


async def test_check_names_the_draw_that_a_limit_forbade(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A draw that the store must have refused is found, and why it must."""
    campaign = await open_campaign(postgres, redis, [{}], limits={"draws_per_user": 1})
    await campaign.draw((1, "a"), (2, "a"))
    await redis.hdel(key(campaign.pool_id, "users"), "1")
    await campaign.draw((1, "b"))
    await campaign.record()
    with pytest.raises(DiscrepancyError, match="the quota draws_per_user was spent") as found:
        await campaign.verify()
    assert 3 == found.value.seq


async def test_check_finds_another_seed(ledger: Ledger) -> None:
    """Only the seed that was committed to verifies."""
    async with snapshot(ledger.postgres) as connection:
        with pytest.raises(DiscrepancyError, match=r"^The seed is not the one that was committed"):
            await verify_pool(connection, ledger.pool_id, bytes(32))


async def test_check_finds_another_commitment(ledger: Ledger) -> None:
    """The commitment that players were shown is what counts."""
    async with snapshot(ledger.postgres) as connection:
        await connection.execute("UPDATE pools SET seed_commitment = $1", bytes(32))
        with pytest.raises(DiscrepancyError, match=r"^The seed is not the one that was committed"):
            await verify_pool(connection, ledger.pool_id)


@pytest.fixture
async def file(ledger: Ledger, tmp_path: Path) -> Path:
    """The ledger as a file; its seed is not revealed."""
    async with snapshot(ledger.postgres) as connection:
        return await export_pool(connection, ledger.pool_id, tmp_path / "ledger.jsonl.gz")


async def test_verify_exits_0_when_a_file_and_the_seed_are_all_there_is(file: Path) -> None:
    """An outsider needs no access to Kuji."""
    ran = await run_kuji("verify", "--file", file, "--seed", SEED.hex())
    assert (0, "✓ every one of 21 draws follows from the seed\n") == ran[:2]


async def test_verify_exits_1_and_names_the_draw_when_a_file_was_changed(
    ledger: Ledger, tmp_path: Path
) -> None:
    """What was found is one line on stdout, whatever a tamperer wrote into a request id."""
    async with snapshot(ledger.postgres) as connection:
        await change_draw(13, "request_id = '[/] x'")(connection, ledger.pool_id)
        file = await export_pool(connection, ledger.pool_id, tmp_path / "ledger.jsonl")
    ran = await run_kuji("verify", "--file", file, "--seed", SEED.hex())
    assert 1 == ran.code
    assert ran.out.startswith("✗ Draw 13: ")


async def test_verify_exits_2_in_one_sentence_when_the_seed_is_not_revealed(file: Path) -> None:
    """Without a seed nothing can be checked, and it is said when there will be one."""
    ran = await run_kuji("verify", "--file", file)
    expected = (
        "kuji: The seed of pool 1 is not revealed yet: that comes when the activity has ended "
        "for good\n"
    )
    assert (2, "", expected) == ran


def _damage(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:200] + b"damaged" + whole[207:])


async def test_verify_exits_2_in_one_sentence_when_a_file_is_damaged(file: Path) -> None:
    """A broken file is no tampering: it could not be checked."""
    _damage(file)
    ran = await run_kuji("verify", "--file", file, "--seed", SEED.hex())
    assert (2, "") == ran[:2]
    *_, complaint = ran.err.splitlines()
    assert complaint.startswith(f"kuji: {file} cannot be checked: ")


async def test_verify_exits_2_in_one_sentence_when_told_nothing() -> None:
    """It says what to name."""
    ran = await run_kuji("verify")
    expected = (
        "kuji: Name one of these: an activity, a pool with --pool, a box with --goods and --box, "
        "or a ledger file with --file\n"
    )
    assert (2, "", expected) == ran


async def test_activity_is_exported_and_verified_from_postgres_alone(
    ledger: Ledger, postgres_server: str, tmp_path: Path
) -> None:
    """Both commands work while Redis is away; what is exported is what is verified."""
    dsn = {"KUJI_POSTGRES_DSN": f"{postgres_server}/{_DATABASE}"}
    file = tmp_path / "exported.jsonl.gz"
    exported, missing, unwritable, verified = await asyncio.gather(
        run_kuji("export-ledger", "1", file, **dsn),
        run_kuji("export-ledger", "404", tmp_path / "none", **dsn),
        run_kuji("export-ledger", "1", tmp_path / "no" / "folder", **dsn),
        run_kuji("verify", "1", "--seed", SEED.hex(), **dsn),
    )
    assert (0, f"✓ 21 draws in {file}\n") == exported[:2]
    assert (2, "", "kuji: There is no activity 404\n") == missing
    assert 2 == unwritable.code
    assert "cannot be written: [Errno 2]" in unwritable.err
    assert (0, "✓ every one of 21 draws follows from the seed\n") == verified[:2]
    assert 21 == verify_file(file)
