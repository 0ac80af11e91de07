"""Pools with a seed of record: drawn from by the scripts, recorded, checked, tampered with."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from ops.ledger.checker import Checker
from ops.ledger.file import header_line, open_text, read_header, read_records, record_line
from ops.ledger.reader import read_header as read_pool
from ops.ledger.reader import read_ledger
from services.common.postgres import Connection
from services.pool.configuration import config_of, document_of
from services.pool.ledger.entries import decode_entry
from services.pool.rule import fairness
from services.pool.rule.selection import PPB
from services.pool.rule.terms import (
    UNLIMITED,
    Answer,
    ConfigureCode,
    Configured,
    DrawCode,
    Intent,
    Stock,
)
from services.pool.seeds import SeedCipher
from services.pool.store.keys import ledger_key
from services.pool.store.redis_store import RedisStore
from services.recorder.recording import record
from tests.support.draw_service import SEED_KEY
from tests.support.draws import NO_BACKLOG_BOUND, SEED, intent

ODDS = pool_pb2.POOL_MODE_ODDS
TICKETS = pool_pb2.POOL_MODE_TICKETS
WEIGHTS = pool_pb2.POOL_MODE_WEIGHTS
OPEN = pool_pb2.POOL_STATUS_OPEN
PAUSED = pool_pb2.POOL_STATUS_PAUSED
ENDED = pool_pb2.POOL_STATUS_ENDED
_COLUMN_OF_MODE = {ODDS: "odds", TICKETS: "tickets", WEIGHTS: "weights"}

Wish = tuple[int, str] | tuple[int, str, int]


@dataclass
class Campaign:
    """
    A pool whose seed is SEED. Change *config*, then publish() it.

    Args:
        version: Newest one tried to publish.
        users: Next user that draw_fresh() draws for.
    """

    postgres: asyncpg.Pool
    redis: Redis
    pool_id: int
    activity_id: int
    config: pool_pb2.PoolConfig
    version: int = 0
    users: int = 1000
    store: RedisStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = RedisStore(self.redis, NO_BACKLOG_BOUND)

    @property
    def prize_ids(self) -> list[int]:
        """In the order of selection."""
        return [prize.prize_id for prize in self.config.prizes]

    async def publish(self) -> int:
        """Publish *config*, and note it as the administration does; the version."""
        done = await self.configure()
        assert ConfigureCode.CONFIGURED == done.code
        await self.note_units(done.stocks)
        await self.execute("UPDATE pools SET version = $2 WHERE id = $1", self.version)
        return self.version

    async def note_units(self, stocks: Sequence[Stock]) -> None:
        """Note what a publication left."""
        await self.postgres.executemany(
            "UPDATE prizes SET total_count = $2 WHERE id = $1",
            [(stock.prize_id, _kept(stock.units)) for stock in stocks],
        )

    async def configure(self) -> Configured:
        """Publish *config* in Redis alone."""
        self.version = await self.postgres.fetchval("SELECT nextval('pool_versions_seq')")
        expected = await self.fetchval("SELECT version FROM pools WHERE id = $1")
        return await self.store.configure(
            self.pool_id, expected, self.version, config_of(self.config), document_of(self.config)
        )

    async def draw(self, *wishes: Wish) -> list[Answer]:
        """Draw for (user id, request id, how many) in one step; all are drawn."""
        answers = await self.ask(*wishes)
        assert {DrawCode.DRAWN} == {answer.code for answer in answers}
        return answers

    async def ask(self, *wishes: Wish, store: RedisStore | None = None) -> list[Answer]:
        """The answers to (user id, request id, how many)."""
        intents = [self._intent(*wish) for wish in wishes]
        return (await (store or self.store).draw(self.pool_id, intents)).answers

    def _intent(self, user_id: int, request_id: str, draws: int = 1) -> Intent:
        return intent(user_id, request_id, draws, self.pool_id)

    async def draw_fresh(self, count: int) -> list[Answer]:
        """One draw for each of *count* users who have not drawn, in one step."""
        first, self.users = self.users, self.users + count
        return await self.draw(*[(user, "r") for user in range(first, self.users)])

    async def record(self) -> None:
        """Carry the ledger into Postgres, as the recorder does."""
        raw: Any = await self.redis.xrange(ledger_key(self.pool_id))
        async with self.postgres.acquire() as connection:
            await record(connection, self.pool_id, [decode_entry(*one) for one in raw], {})

    async def execute(self, statement: str, *arguments: Any) -> None:
        """Run *statement*; $1 is the pool."""
        await self.postgres.execute(statement, self.pool_id, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The value of *query*; $1 is the pool."""
        return await self.postgres.fetchval(query, self.pool_id, *arguments)

    async def verify(self, seed: bytes = SEED) -> int:
        """Replay what is recorded; draws replayed. DiscrepancyError where it does not follow."""
        async with snapshot(self.postgres) as connection:
            return await verify_pool(connection, self.pool_id, seed)


@asynccontextmanager
async def snapshot(postgres: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection that sees one moment; what it changes is undone at the end."""
    async with postgres.acquire() as connection:
        transaction = connection.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            yield connection
        finally:
            await transaction.rollback()


async def verify_pool(connection: Connection, pool_id: int, seed: bytes = SEED) -> int:
    """Replay a pool's ledger; draws replayed. DiscrepancyError where it does not follow."""
    checker = Checker(await read_pool(connection, pool_id), seed, lambda _: None)
    async for one in read_ledger(connection, pool_id):
        checker.feed(one)
    return checker.finish()


async def export_pool(connection: Connection, pool_id: int, path: Path) -> Path:
    """Write a pool's ledger to a file; the file."""
    with open_text(path, "w") as lines:
        lines.write(header_line(await read_pool(connection, pool_id)) + "\n")
        async for one in read_ledger(connection, pool_id):
            lines.write(record_line(one) + "\n")
    return path


def verify_file(path: Path, seed: bytes = SEED) -> int:
    """Replay a ledger file; draws replayed. DiscrepancyError where it does not follow."""
    with open_text(path, "r") as lines:
        checker = Checker(read_header(next(lines)), seed, lambda _: None)
        for one in read_records(lines):
            checker.feed(one)
        return checker.finish()


async def open_campaign(
    postgres: asyncpg.Pool, redis: Redis, prizes: Sequence[dict[str, Any]], **config: Any
) -> Campaign:
    """
    A published pool.

    Args:
        prizes: Fields of PoolPrize besides prize_id; units 100 and a weight of 0.1 unless told.
        config: Fields of PoolConfig; an open ODDS pool unless told.
    """
    message = pool_pb2.PoolConfig(**{"mode": ODDS, "status": OPEN, **config})
    pool_id = await postgres.fetchval("SELECT nextval('pool_ids')")
    commitment = await insert_seed(postgres, pool_id)
    await postgres.execute(
        "INSERT INTO pools (id, mode, seed_commitment) VALUES ($1, $2, $3)",
        pool_id,
        _COLUMN_OF_MODE[message.mode],
        commitment,
    )
    activity_id = await postgres.fetchval(
        "INSERT INTO activities (pool_id, name, start_time, status)"
        " VALUES ($1, 'Spring', '2023-01-01Z', 'open') RETURNING id",
        pool_id,
    )
    if message.mode == ODDS:  # the administration has no prizes of other pools
        message.activity_id = activity_id
    campaign = Campaign(postgres, redis, pool_id, activity_id, message)
    for fields in prizes:
        await add_prize(campaign, **fields)
    await campaign.publish()
    return campaign


def _kept(units: int) -> int:
    """total_count, which is limited in lotteries: unlimited units are more than are drawn."""
    return 1_000_000_000 if units == UNLIMITED else units


async def add_prize(campaign: Campaign, **fields: Any) -> int:
    """Put one more prize into the configuration; its id."""
    given = {"name": "Bear", "units": 100, "weight": PPB // 10, "enabled": True, **fields}
    prize_id: int = await campaign.postgres.fetchval(
        "INSERT INTO prizes (activity_id, pool_id, name, total_count, probability_ppb)"
        " VALUES ($1, $2, $3, $4, $5) RETURNING id",
        campaign.activity_id,
        campaign.pool_id,
        given["name"],
        _kept(given["units"]),
        given["weight"],
    )
    campaign.config.prizes.add(prize_id=prize_id, **given)
    return prize_id


async def insert_seed(postgres: asyncpg.Pool, pool_id: int) -> bytes:
    """Store SEED as the seed of a pool to come; its commitment."""
    commitment = fairness.commitment(SEED)
    await postgres.execute(
        "INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed) VALUES ($1, $2, $3)",
        pool_id,
        commitment,
        SeedCipher(SEED_KEY).encrypt(pool_id, SEED),
    )
    return commitment
