"""Seeds are revealed when their pools have ended, and each draw can be checked."""

import asyncio
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import draw_pb2
from redis.asyncio import Redis

from services.common.errors import NotFoundError, UnavailableError
from services.draw.proof import prover as proof
from services.draw.proof.prover import Prover
from services.pool.ledger.entries import decode_entry
from services.pool.rule.fairness import Roller, commitment
from services.pool.rule.selection import PPB
from services.pool.rule.terms import ConfigureCode
from services.pool.seeds import SeedCipher
from services.pool.store.keys import ledger_key
from services.recorder.recording import record
from tests.support.draw_service import SEED_KEY, open_world
from tests.support.draws import SEED
from tests.support.history import eventually, mark_answered
from tests.support.ledgers import (
    ENDED,
    ODDS,
    OPEN,
    PAUSED,
    TICKETS,
    WEIGHTS,
    Campaign,
    open_campaign,
)

_STOCK = [{"units": 2, "weight": 0}, {"units": 4, "weight": 0}]
_LAST = {"units": 1, "weight": 0, "last_prize": True}
_FIXED = [{"units": -1, "weight": 30}, {"units": 4, "weight": 0}, {"units": 9, "weight": 5}]


@pytest.fixture
def prover(postgres: asyncpg.Pool, redis: Redis) -> Prover:
    """Knows the key of the seeds."""
    return Prover(postgres, redis, SeedCipher(SEED_KEY))


@pytest.fixture
async def campaign(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    """An ODDS pool with six draws: 1–5 win the first prize or the second, 6 misses."""
    campaign = await open_campaign(
        postgres, redis, [{"weight": PPB // 2}, {"weight": PPB - PPB // 2}]
    )
    await campaign.draw_fresh(5)
    for prize in campaign.config.prizes:
        prize.weight = 0
    await campaign.publish()
    await campaign.draw_fresh(1)
    return campaign


async def _end(campaign: Campaign) -> None:
    campaign.config.status = ENDED
    await campaign.publish()


async def _revealed(campaign: Campaign) -> bytes | None:
    seed: bytes | None = await campaign.fetchval("SELECT seed FROM pool_reveals WHERE pool_id = $1")
    return seed


@pytest.mark.parametrize("status", [OPEN, PAUSED])
async def test_seed_stays_secret_while_the_pool_may_draw_again(
    campaign: Campaign, prover: Prover, status: int
) -> None:
    """A pause is no end, and neither is an end time, which may be put off."""
    campaign.config.status = status  # type: ignore[assignment]
    campaign.config.end_ms = 1
    await campaign.publish()
    await campaign.record()
    assert (0, None) == (await prover.reveal_ended(), await _revealed(campaign))


async def test_seed_stays_secret_until_the_end_and_all_draws_are_recorded(
    campaign: Campaign, prover: Prover
) -> None:
    """Whoever has the seed can check every draw; so each must be on record before."""
    await campaign.record()
    await campaign.draw_fresh(2)
    await _end(campaign)
    assert (0, None) == (await prover.reveal_ended(), await _revealed(campaign))
    ledger: Any = await campaign.redis.xrange(ledger_key(campaign.pool_id))
    but_the_end = [decode_entry(*one) for one in ledger[:-1]]
    async with campaign.postgres.acquire() as connection:
        await record(connection, campaign.pool_id, but_the_end, {})
    assert (0, None) == (await prover.reveal_ended(), await _revealed(campaign))
    await campaign.record()
    assert (1, SEED) == (await prover.reveal_ended(), await _revealed(campaign))


async def test_seed_is_revealed_once_when_several_processes_look(
    campaign: Campaign, prover: Prover
) -> None:
    """The first one's reveal stands; the others find nothing to do, or change nothing."""
    await _end(campaign)
    await campaign.record()
    await asyncio.gather(*[prover.reveal_ended() for _ in range(4)])
    assert (0, SEED) == (await prover.reveal_ended(), await _revealed(campaign))
    assert 6 == await campaign.verify()


async def test_revealed_pools_are_not_even_looked_at(
    postgres: asyncpg.Pool, redis: Redis, prover: Prover
) -> None:
    """Every second pools are looked for: it costs what those cost that are to be revealed."""
    campaigns = [await open_campaign(postgres, redis, [{}]) for _ in range(20)]
    for campaign in campaigns:
        if campaign is not campaigns[0]:
            campaign.config.status = ENDED
            await campaign.publish()
        await campaign.record()
    assert 19 == await prover.reveal_ended()
    await postgres.execute("ANALYZE pools, pool_seeds, pool_versions")
    async with postgres.acquire() as connection:
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = await connection.fetch(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "
            + proof._queries.pools_to_reveal.sql
        )
    scans = [row[0] for row in plan if " on pools " in row[0]]
    assert [True] == ["pools_to_reveal" in scan and "rows=0.00" in scan for scan in scans], plan


async def test_configurations_are_looked_up_by_pool_when_many_are_open(
    postgres: asyncpg.Pool,
) -> None:
    """Every second pools are looked for: only their newest configurations are read."""
    await postgres.execute(
        """
        INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed)
        SELECT n, sha256('x'), '' FROM generate_series(1, 1000) AS n;
        INSERT INTO pools (id, mode, seed_commitment, version, recorded_version)
        SELECT n, 'odds', sha256('x'), 3, 3 FROM generate_series(1, 1000) AS n;
        INSERT INTO pool_versions (pool_id, version, after_seq, config, units, changed_at, link)
        SELECT n, version, 0, '{"status": "POOL_STATUS_OPEN"}', '[]', now(), ''
        FROM generate_series(1, 1000) AS n, generate_series(1, 3) AS version;
        ANALYZE pools, pool_seeds, pool_versions;
        """
    )
    plan = await postgres.fetch("EXPLAIN " + proof._queries.pools_to_reveal.sql)
    scans = [row[0] for row in plan if " on pool_versions" in row[0]]
    assert [True] == ["Index Scan using pool_versions_pkey" in scan for scan in scans], plan


async def test_seed_is_revealed_when_an_ended_pool_is_edited(
    campaign: Campaign, prover: Prover
) -> None:
    """The newest configuration counts, and it has ended too."""
    await _end(campaign)
    campaign.config.prizes[0].name = "A bear"
    await campaign.publish()
    await campaign.record()
    assert (1, SEED) == (await prover.reveal_ended(), await _revealed(campaign))


async def test_other_seeds_are_revealed_when_one_cannot_be_read(
    postgres: asyncpg.Pool, redis: Redis, campaign: Campaign
) -> None:
    """A seed under a lost key, or one that does not fit, keeps its pool's secret alone."""
    broken = [await open_campaign(postgres, redis, [{}]) for _ in range(2)]
    for one in (*broken, campaign):
        await _end(one)
        await one.record()
    await postgres.execute("ALTER TABLE pool_seeds DISABLE TRIGGER ALL")
    other_key, right_key = SeedCipher("00" * 32), SeedCipher(SEED_KEY)
    for one, stored in zip(
        broken,
        (
            other_key.encrypt(broken[0].pool_id, SEED),
            right_key.encrypt(broken[1].pool_id, bytes(32)),
        ),
        strict=True,
    ):
        await one.execute("UPDATE pool_seeds SET encrypted_seed = $2 WHERE pool_id = $1", stored)
    assert 1 == await Prover(postgres, redis, right_key).reveal_ended()
    assert [None, None, SEED] == [await _revealed(one) for one in (*broken, campaign)]


async def test_ended_pool_is_never_opened_again(campaign: Campaign) -> None:
    """Its seed may be known, so nothing may be drawn from it."""
    await _end(campaign)
    for status in (OPEN, PAUSED):
        campaign.config.status = status
        assert ConfigureCode.ENDED == (await campaign.configure()).code


_CHANGES = [
    "UPDATE pool_seeds SET commitment = sha256('x')",
    "UPDATE pool_seeds SET encrypted_seed = 'x'",
    "DELETE FROM pool_seeds",
    "TRUNCATE pool_seeds CASCADE",
    "UPDATE pool_reveals SET seed = sha256('x')",
    "DELETE FROM pool_reveals",
    "TRUNCATE pool_reveals",
]


@pytest.mark.parametrize("change", _CHANGES)
async def test_database_refuses_to_change_a_seed(
    campaign: Campaign, prover: Prover, change: str
) -> None:
    """Neither a seed, nor its commitment, nor its reveal can be exchanged or taken back."""
    await _end(campaign)
    await campaign.record()
    await prover.reveal_ended()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="is write-once"):
        await campaign.postgres.execute(change)
    assert SEED == await _revealed(campaign)


async def test_database_refuses_to_reveal_another_seed(campaign: Campaign) -> None:
    """Only what was committed to can be revealed."""
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="does not match"):
        await campaign.execute(
            "INSERT INTO pool_reveals (pool_id, seed) VALUES ($1, $2)", bytes(32)
        )
    assert await _revealed(campaign) is None


@pytest.mark.parametrize(
    ("mode", "prizes", "draws"),
    [
        (ODDS, [{"weight": PPB // 3, "units": 2}, {"weight": PPB // 2}], [3, 1, 2]),
        (TICKETS, [*_STOCK, _LAST], [1, 3, 2]),
        (WEIGHTS, _FIXED, [2, 1, 10]),
    ],
)
async def test_every_draw_proves_valid_before_and_after_the_reveal(
    postgres: asyncpg.Pool,
    redis: Redis,
    prover: Prover,
    mode: int,
    prizes: list[dict[str, int]],
    draws: list[int],
) -> None:
    """The roll is shown at once, the seed when the pool has ended; last prizes are no exception."""
    campaign = await open_campaign(postgres, redis, prizes, mode=mode)
    places = 0
    for user_id, count in enumerate(draws, 1):
        (answer,) = await campaign.draw((user_id, "r" * 64, count))
        places += answer.places
    assert sum(draws) + (mode == TICKETS) == places
    await campaign.record()
    before = [await prover.prove(campaign.pool_id, seq) for seq in range(1, places + 1)]
    await _end(campaign)
    await campaign.record()
    await prover.reveal_ended()
    after = [await prover.prove(campaign.pool_id, seq) for seq in range(1, places + 1)]
    assert {(True, None)} == {(proof.valid, proof.seed) for proof in before}
    assert {(True, SEED)} == {(proof.valid, proof.seed) for proof in after}
    assert {commitment(SEED)} == {proof.commitment for proof in after}
    assert Roller(SEED, campaign.pool_id).roll(1, "r" * 64, 0) == after[0].roll
    assert [proof.roll for proof in before] == [proof.roll for proof in after]


_RECORD = "UPDATE lottery_records SET {} WHERE pool_id = $1 AND seq = {}"
_WINNER = "UPDATE winners SET {} WHERE pool_id = $1 AND seq = {}"
_OTHER_PRIZE = "prize_id = CASE prize_id WHEN 1 THEN 2 ELSE 1 END"

TAMPERINGS = [
    ("ticket", 1, [_RECORD.format("ticket = ticket + 1", 1)], "the roll gives ticket"),
    ("user", 1, [_RECORD.format("user_id = 77", 1)], "the roll gives ticket"),
    ("request id", 1, [_RECORD.format("request_id = 'x'", 1)], "the roll gives ticket"),
    ("total", 1, [_RECORD.format("odds_total = 7", 1)], "are not in parts per billion"),
    ("total 0", 1, [_RECORD.format("odds_total = 0", 1)], "there is no draw among 0"),
    ("weight", 1, [_RECORD.format("odds_weight = 7", 1)], "did not have 7 of"),
    ("version", 1, [_RECORD.format("version = 99", 1)], "it names is not recorded"),
    ("later version", 1, [_RECORD.format("version = version + 1", 1)], "did not have"),
    ("prize", 1, [_RECORD.format(_OTHER_PRIZE, 1)], "the winner list says otherwise"),
    ("win turned into a miss", 4, [_RECORD.format("prize_id = NULL", 4)], "is no miss"),
    ("miss turned into a win", 6, [_RECORD.format("prize_id = 1", 6)], "list says otherwise"),
    ("listed winner", 3, [_WINNER.format("user_id = 77", 3)], "the winner list says otherwise"),
    ("prize code", 3, [_WINNER.format("prize_code = 'X'", 3)], "the prize code is another draw's"),
    (
        "record and list turned into a miss",
        4,
        [
            _RECORD.format("prize_id = NULL", 4),
            "DELETE FROM winners WHERE pool_id = $1 AND seq = 4",
        ],
        "is no miss",
    ),
    (
        "record and list given a prize of nowhere",
        3,
        [_RECORD.format("prize_id = 9", 3), _WINNER.format("prize_id = 9", 3)],
        "prize 9 could not be won",
    ),
    (
        "configuration of no sense",
        1,
        ["UPDATE pool_versions SET config = '{\"odds\": 1}' WHERE pool_id = $1"],
        "it names is not recorded",
    ),
]


@pytest.mark.parametrize(
    ("seq", "statements", "reason"), [t[1:] for t in TAMPERINGS], ids=[t[0] for t in TAMPERINGS]
)
async def test_draw_proves_invalid_and_why_when_its_record_was_changed(
    campaign: Campaign, prover: Prover, seq: int, statements: list[str], reason: str
) -> None:
    """What does not follow from roll, configuration and list is named."""
    await campaign.record()
    assert (await prover.prove(campaign.pool_id, seq)).valid
    for statement in statements:
        await campaign.execute(statement)
    proof = await prover.prove(campaign.pool_id, seq)
    assert not proof.valid
    assert reason in proof.explanation


async def test_draw_proves_the_same_before_and_after_it_is_recorded(
    campaign: Campaign, prover: Prover
) -> None:
    """From the moment it was made; one that was never made is not found."""
    (answer,) = await campaign.draw((1, "a"))
    before = await prover.prove(campaign.pool_id, answer.first_seq)
    await campaign.record()
    assert before.valid
    assert before == await prover.prove(campaign.pool_id, answer.first_seq)
    for pool_id, seq in ((campaign.pool_id, answer.first_seq + 1), (campaign.pool_id + 99, 1)):
        with pytest.raises(NotFoundError):
            await prover.prove(pool_id, seq)


async def test_draw_proves_later_while_its_configuration_is_on_its_way(
    campaign: Campaign, prover: Prover
) -> None:
    """Not recorded, and the live one no more: ask again, rather than a wrong verdict."""
    with pytest.raises(UnavailableError):
        await prover.prove(campaign.pool_id, 1)
    await campaign.record()
    assert (await prover.prove(campaign.pool_id, 1)).valid


async def test_draw_proves_later_while_the_store_is_an_older_copy_without_it(
    campaign: Campaign, prover: Prover
) -> None:
    """A1: what was answered is not called unknown."""
    await mark_answered(campaign.postgres, campaign.pool_id, 6)
    await campaign.redis.delete(ledger_key(campaign.pool_id))
    with pytest.raises(UnavailableError):
        await prover.prove(campaign.pool_id, 1)
    with pytest.raises(NotFoundError):
        await prover.prove(campaign.pool_id, 7)


async def test_service_shows_the_seed_when_its_watch_has_revealed_it(
    campaign: Campaign, postgres_dsn: str, redis_url: str
) -> None:
    """VerifyDraw leaves the seed out before the end, and has it soon after."""
    await campaign.record()
    request = draw_pb2.VerifyDrawRequest(draw_id=f"{campaign.pool_id}-1")
    async with open_world(campaign.postgres, postgres_dsn, redis_url, watch_every_s=0.05) as world:
        anyone = world.user(1)
        before = await anyone(request)
        assert (True, False) == (before.valid, before.HasField("seed"))
        await _end(campaign)
        await campaign.record()

        async def is_revealed() -> bool:
            return await _revealed(campaign) is not None

        await eventually(is_revealed)
        after = await anyone(request)
        assert (True, SEED.hex(), before.roll) == (after.valid, after.seed, after.roll)
        assert commitment(SEED).hex() == after.seed_commitment
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anyone(draw_pb2.VerifyDrawRequest(draw_id=f"{campaign.pool_id}-99"))
        assert grpc.StatusCode.NOT_FOUND == refused.value.code()
