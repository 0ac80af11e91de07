"""PoolService on the wire: publication, its bounds, and seeds that nobody can change."""

import hashlib
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from cryptography.exceptions import InvalidTag
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.pool.ledger.entries import ConfigEntry, decode_entry
from services.pool.seeds import SeedCipher
from services.pool.store.keys import ledger_key
from tests.support.admin import failure
from tests.support.draw_service import SEED_KEY, World, open_world

SURE = 1_000_000_000
BIG = 1 << 53
Spoil = Callable[[pool_pb2.PoolConfig], object]


def good(**changes: Any) -> pool_pb2.PoolConfig:
    """A configuration that is fit."""
    prizes = [
        pool_pb2.PoolPrize(prize_id=1, name="A", units=5, weight=SURE // 2, enabled=True),
        pool_pb2.PoolPrize(prize_id=2, name="B", units=5, weight=SURE // 2, enabled=True),
    ]
    given = {
        "mode": pool_pb2.POOL_MODE_ODDS,
        "status": pool_pb2.POOL_STATUS_OPEN,
        "prizes": prizes,
        **changes,
    }
    return pool_pb2.PoolConfig(**given)


def _set(field: str, value: Any) -> Spoil:
    def spoil(config: pool_pb2.PoolConfig) -> None:
        setattr(config, field, value)

    return spoil


def _limit(field: str, value: int) -> Spoil:
    def spoil(config: pool_pb2.PoolConfig) -> None:
        setattr(config.limits, field, value)

    return spoil


def _prize(**fields: Any) -> Spoil:
    def spoil(config: pool_pb2.PoolConfig) -> None:
        for field, value in fields.items():
            setattr(config.prizes[0], field, value)

    return spoil


def _many(config: pool_pb2.PoolConfig) -> None:
    config.prizes.extend(pool_pb2.PoolPrize(prize_id=n, units=1) for n in range(3, 258))


UNFIT: list[tuple[str, Spoil]] = [
    ("mode", _set("mode", pool_pb2.POOL_MODE_UNSPECIFIED)),
    ("mode", _set("mode", 9)),
    ("status", _set("status", pool_pb2.POOL_STATUS_UNSPECIFIED)),
    ("status", _set("status", 7)),
    ("start_ms", _set("start_ms", -1)),
    ("start_ms", _set("start_ms", BIG)),
    ("end_ms", _set("end_ms", -1)),
    ("activity_id", _set("activity_id", -1)),
    ("cooldown_ms", _limit("cooldown_ms", -1)),
    ("draws_per_user", _limit("draws_per_user", -1)),
    ("draws_per_day", _limit("draws_per_day", -1)),
    ("wins_per_user", _limit("wins_per_user", -1)),
    ("day_offset_minutes", _limit("day_offset_minutes", 841)),
    ("day_offset_minutes", _limit("day_offset_minutes", -721)),
    ("prize_id", _prize(prize_id=0)),
    ("prize_id", _prize(prize_id=-1)),
    ("prize_id", _prize(prize_id=BIG)),
    ("prize_id", _prize(prize_id=2)),
    ("units", _prize(units=-2)),
    ("units", _prize(units=-1)),
    ("units", _prize(units=SURE + 1)),
    ("weight", _prize(weight=-1)),
    ("weight", _prize(weight=SURE + 1)),
    ("weight", _prize(weight=SURE // 2 + 1)),
    ("wins_per_user", _prize(wins_per_user=-1)),
    ("last_prize", _prize(last_prize=True)),
    ("name", _prize(name="a\0b")),
    ("image_url", _prize(image_url="\0")),
    ("prizes", _many),
]


def _request(config: pool_pb2.PoolConfig, **fields: int) -> pool_pb2.PublishPoolRequest:
    return pool_pb2.PublishPoolRequest(**{"pool_id": 1, "version": 1, **fields}, config=config)


async def test_publication_is_refused_when_it_is_out_of_bounds(world: World) -> None:
    """Each field by its name; nothing is published."""
    for field, spoil in UNFIT:
        config = good()
        spoil(config)
        reason, metadata = await failure(world.service()(_request(config)))
        told = metadata["field"].rpartition(".")[2]
        assert (field, "INVALID_ARGUMENT", ["field"]) == (told, reason, list(metadata)), config
    inspected = await world.service()(pool_pb2.InspectPoolsRequest(pool_ids=[1]))
    assert [] == list(inspected.pools)


async def test_publication_is_refused_when_its_numbers_are_unfit(world: World) -> None:
    """A pool and versions are numbers that the scripts can hold exactly."""
    cases = [
        ("pool_id", {"pool_id": 0}),
        ("pool_id", {"pool_id": -1}),
        ("version", {"version": 0}),
        ("version", {"version": -1}),
        ("version", {"version": BIG}),
        ("expected_version", {"expected_version": -1}),
    ]
    for field, numbers in cases:
        refused = await failure(world.service()(_request(good(), **numbers)))
        assert ("INVALID_ARGUMENT", {"field": field}) == refused


async def test_weights_pool_may_have_unlimited_units_with_a_fixed_weight(world: World) -> None:
    """Unlimited stock has no share of its own: without a weight it is refused."""
    config = good(mode=pool_pb2.POOL_MODE_WEIGHTS)
    config.prizes[0].units = -1
    config.prizes[0].weight = 0
    refused = await failure(world.service()(_request(config)))
    assert ("INVALID_ARGUMENT", {"field": "weight"}) == refused
    config.prizes[0].weight = 3
    created = await world.service()(pool_pb2.CreatePoolRequest())
    published = await world.service()(_request(config, pool_id=created.pool_id))
    assert [(1, -1, -1), (2, 5, 5)] == _stocks(published.stocks)


def _stocks(stocks: Any) -> list[tuple[int, int, int]]:
    return [(stock.prize_id, stock.units, stock.remaining) for stock in stocks]


async def test_publication_answers_what_results(world: World) -> None:
    """The seq it came after, and each prize's stock; the ledger notes it between two draws."""
    activity = await world.activity((5, SURE))
    for user_id in (1, 2):
        await world.user(user_id).draw(activity.activity_id, "a")
    activity.config.prizes[0].units = 9
    published = await world.publish(activity)
    assert (2, [(activity.prize_ids[0], 9, 7)]) == (published.after_seq, _stocks(published.stocks))
    state = await world.state(activity)
    assert state is not None
    assert (activity.version, 2, 2, 4) == (
        state.version,
        state.last_seq,
        state.unique_users,
        state.ledger_entries,
    )
    assert [(activity.prize_ids[0], 9, 7)] == _stocks(state.stocks)


async def test_publication_is_refused_when_it_comes_late(world: World) -> None:
    """CONFLICT where another version holds than expected, or the new one is not above it."""
    activity = await world.activity((5, SURE))
    first = activity.version
    await world.publish(activity)
    live = activity.version
    cases = [(first, live + 1), (0, live + 1), (live, first)]
    for expected, version in cases:
        request = _request(
            good(), pool_id=activity.pool_id, version=version, expected_version=expected
        )
        refused = await failure(world.service()(request))
        assert ("CONFLICT", {"live_version": str(live)}) == refused
    state = await world.state(activity)
    assert state is not None
    assert (live, 2) == (state.version, state.ledger_entries)


async def test_publication_is_refused_when_redis_lost_what_it_is_based_on(
    world: World, redis: Redis
) -> None:
    """An older pool, or none, has to be rebuilt: nobody else changed it, and no retry helps."""
    activity = await world.activity((5, SURE))
    request = _request(
        good(),
        pool_id=activity.pool_id,
        version=activity.version + 2,
        expected_version=activity.version + 1,
    )
    assert ("POOL_NOT_LOADED", {"retry_after_ms": "5000"}) == await failure(
        world.service()(request)
    )
    await redis.flushall()
    assert ("POOL_NOT_LOADED", {"retry_after_ms": "5000"}) == await failure(
        world.service()(request)
    )
    assert await world.state(activity) is None


async def test_publication_changes_nothing_when_it_is_sent_twice(world: World) -> None:
    """The same version again is the same publication: what holds is answered, nothing is noted."""
    activity = await world.activity((5, SURE))
    await world.user(1).draw(activity.activity_id, "a")
    request = _request(activity.config, pool_id=activity.pool_id, version=activity.version)
    published = await world.service()(request)
    assert [(activity.prize_ids[0], 5, 4)] == _stocks(published.stocks)
    state = await world.state(activity)
    assert state is not None
    assert (activity.version, 1, 2) == (state.version, state.last_seq, state.ledger_entries)


async def test_publication_is_refused_when_units_fall_below_won(world: World) -> None:
    """L2: the prize and what is won of it are told; nothing changes."""
    activity = await world.activity((5, SURE))
    for user_id in range(1, 4):
        await world.user(user_id).draw(activity.activity_id, "a")
    activity.config.prizes[0].units = 2
    prize_id = str(activity.prize_ids[0])
    refused = await failure(world.publish(activity))
    assert ("UNITS_BELOW_WON", {"prize_id": prize_id, "won": "3"}) == refused
    assert [2] == await world.left(activity)


async def test_publication_is_refused_when_a_prize_vanishes_or_an_ended_pool_opens(
    world: World,
) -> None:
    """What was published stays: prizes are retired, ended pools stay ended."""
    activity = await world.activity((5, SURE), (5, 0))
    whole = pool_pb2.PoolConfig()
    whole.CopyFrom(activity.config)
    del activity.config.prizes[1]
    assert ("INVALID_ARGUMENT", {"field": "units"}) == await failure(world.publish(activity))
    activity.config.CopyFrom(whole)
    activity.config.status = pool_pb2.POOL_STATUS_ENDED
    await world.publish(activity)
    activity.config.status = pool_pb2.POOL_STATUS_OPEN
    assert ("INVALID_ARGUMENT", {"field": "status"}) == await failure(world.publish(activity))


async def test_pools_are_inspected_in_the_order_asked(world: World) -> None:
    """Those that are not loaded are left out; more than a hundred, or none, are refused."""
    one, two = await world.activity((5, SURE)), await world.activity((6, SURE))
    ids = [two.pool_id, 987_654, one.pool_id]
    inspected = await world.service()(pool_pb2.InspectPoolsRequest(pool_ids=ids))
    assert [two.pool_id, one.pool_id] == [state.pool_id for state in inspected.pools]
    for unfit in ([], list(range(1, 102))):
        request = pool_pb2.InspectPoolsRequest(pool_ids=unfit)
        refused = await failure(world.service()(request))
        assert ("INVALID_ARGUMENT", {"field": "pool_ids"}) == refused


async def test_pools_are_for_services_alone(world: World) -> None:
    """A user or an administrator publishes, creates and blocks nothing."""
    requests = [
        pool_pb2.CreatePoolRequest(),
        _request(good()),
        pool_pb2.SetUserBlockRequest(user_id=7, blocked=True),
    ]
    for role in ("user", "admin"):
        for request in requests:
            refused = await failure(world.user(7, role=role)(request))
            assert ("PERMISSION_DENIED", {}) == refused
    assert 0 == await world.postgres.fetchval("SELECT count(*) FROM pool_seeds")


async def test_ledger_keeps_each_configuration_exactly(world: World, redis: Redis) -> None:
    """X4: a replay knows which odds held when, and that nothing was changed since."""
    activity = await world.activity((5, SURE // 4))
    await world.user(1).draw(activity.activity_id, "a")
    activity.config.prizes[0].weight = SURE // 2
    await world.publish(activity)
    raw: Any = await redis.xrange(ledger_key(activity.pool_id))
    entries = [decode_entry(*entry) for entry in raw]
    configs = [entry for entry in entries if isinstance(entry, ConfigEntry)]
    assert [(0, 3), (1, 3)] == [(entry.after_seq, len(entry.units[0])) for entry in configs]
    assert activity.version == configs[1].version
    links = [entry.link for entry in entries]
    assert len(entries) == len(set(links))
    assert all(len(link) == 40 for link in links)


async def _seed(world: World) -> tuple[int, asyncpg.Record]:
    made = await world.service()(pool_pb2.CreatePoolRequest())
    row = await world.postgres.fetchrow("SELECT * FROM pool_seeds WHERE pool_id = $1", made.pool_id)
    assert row is not None
    assert row["commitment"].hex() == made.seed_commitment
    return made.pool_id, row


async def test_each_pool_has_a_number_and_a_seed_of_its_own(world: World) -> None:
    """X4: ids are never handed out twice, and no two commitments are the same."""
    made = [await world.service()(pool_pb2.CreatePoolRequest()) for _ in range(5)]
    assert 5 == len({pool.pool_id for pool in made})
    assert 5 == len({pool.seed_commitment for pool in made})


async def test_seed_is_encrypted_at_rest_and_matches_its_commitment(world: World) -> None:
    """X4: its key opens it to the seed committed to; no other key does, nor as another pool's."""
    pool_id, row = await _seed(world)
    seed = SeedCipher(SEED_KEY).decrypt(pool_id, row["encrypted_seed"])
    assert row["commitment"] == hashlib.sha256(seed).digest()
    assert seed not in row["encrypted_seed"]
    for cipher, as_pool in [(SeedCipher("00" * 32), pool_id), (SeedCipher(SEED_KEY), pool_id + 1)]:
        with pytest.raises(InvalidTag):
            cipher.decrypt(as_pool, row["encrypted_seed"])


async def test_service_draws_nothing_when_its_key_opens_no_seed(
    world: World, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """A process with another KUJI_SEED_KEY refuses, rather than draw from another seed."""
    activity = await world.activity((5, SURE))
    async with open_world(postgres, postgres_dsn, redis_url, seed_key="00" * 32) as other:
        reason, metadata = await failure(other.user(7).draw(activity.activity_id, "a"))
    assert ("INTERNAL", {"trace_id"}) == (reason, set(metadata))
    assert [5] == await world.left(activity)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pool_seeds SET commitment = sha256('x')",
        "UPDATE pool_seeds SET encrypted_seed = 'x'",
        "DELETE FROM pool_seeds",
        "TRUNCATE pool_seeds CASCADE",
        "INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed) SELECT pool_id, sha256('x'),"
        " 'x' FROM pool_seeds ON CONFLICT (pool_id) DO UPDATE SET encrypted_seed = 'x'",
        "MERGE INTO pool_seeds USING pool_seeds AS s ON s.pool_id = pool_seeds.pool_id"
        " WHEN MATCHED THEN DELETE",
        "UPDATE pool_reveals SET seed = sha256('x')",
        "DELETE FROM pool_reveals",
        "TRUNCATE pool_reveals",
    ],
)
async def test_seeds_and_reveals_are_write_once(postgres: asyncpg.Pool, statement: str) -> None:
    """X4: whatever statement would change or remove one is refused by the database itself."""
    seed = bytes(range(32))
    await postgres.execute(
        "INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed) VALUES (1, $1, 'hidden')",
        hashlib.sha256(seed).digest(),
    )
    await postgres.execute("INSERT INTO pool_reveals (pool_id, seed) VALUES (1, $1)", seed)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="write-once"):
        await postgres.execute(statement)
    row = await postgres.fetchrow(
        "SELECT encrypted_seed, seed FROM pool_seeds JOIN pool_reveals USING (pool_id)"
    )
    assert row is not None
    assert (b"hidden", seed) == tuple(row)


async def test_reveal_is_refused_when_it_is_not_the_seed_committed_to(
    postgres: asyncpg.Pool,
) -> None:
    """X4: the database takes no other seed for a commitment, nor one for a pool without."""
    seed = bytes(range(32))
    await postgres.execute(
        "INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed) VALUES (1, $1, 'hidden')",
        hashlib.sha256(seed).digest(),
    )
    for pool_id, wrong in [(1, bytes(32)), (1, seed[::-1]), (2, seed)]:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await postgres.execute(
                "INSERT INTO pool_reveals (pool_id, seed) VALUES ($1, $2)", pool_id, wrong
            )
    assert 0 == await postgres.fetchval("SELECT count(*) FROM pool_reveals")


async def test_pool_that_nobody_made_is_not_found(world: World) -> None:
    """Its publication leaves nothing behind."""
    refused = await failure(world.service()(_request(good(), pool_id=10**9)))
    assert ("NOT_FOUND", {}) == refused
    inspected = await world.service()(pool_pb2.InspectPoolsRequest(pool_ids=[10**9]))
    assert [] == list(inspected.pools)
