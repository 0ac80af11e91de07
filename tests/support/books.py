"""A pool whose draws and records are real: drawn by the scripts, carried over by the recorder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.pool.configuration import config_of, document_of
from services.pool.ledger.entries import Entry, decode_entry
from services.pool.rule.selection import PPB
from services.pool.rule.terms import ConfigureCode, DrawCode
from services.pool.store.keys import ledger_key
from services.pool.store.redis_store import RedisStore
from services.recorder.recording import record
from tests.support.draws import NO_BACKLOG_BOUND, intent


@dataclass
class Pool:
    """
    An activity's pool, in Postgres and Redis.

    Args:
        prize_ids: In the order given.
        units: Units in all of each.
        draws: Made so far; each by a user of its own.
    """

    postgres: asyncpg.Pool
    redis: Redis
    pool_id: int
    activity_id: int
    prize_ids: Sequence[int]
    units: list[int]
    version: int = 0
    draws: int = 0
    store: RedisStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = RedisStore(self.redis, NO_BACKLOG_BOUND)

    async def publish(self, *chances: float, retired: Sequence[int] = ()) -> int:
        """
        Publish these chances of the prizes, in Redis alone; the new version.

        *retired*: places of the prizes that are taken out.
        """
        message = self._message(chances, retired)
        version: int = await self.postgres.fetchval("SELECT nextval('pool_versions_seq')")
        done = await self.store.configure(
            self.pool_id, self.version, version, config_of(message), document_of(message)
        )
        assert done.code == ConfigureCode.CONFIGURED
        self.version = version
        return version

    async def configure(self, *chances: float) -> None:
        """Publish these chances of the prizes, and note it in Postgres as an operator's change."""
        version = await self.publish(*chances)
        await self.postgres.execute(
            "UPDATE pools SET version = $2 WHERE id = $1", self.pool_id, version
        )

    def _message(self, chances: Sequence[float], retired: Sequence[int]) -> pool_pb2.PoolConfig:
        prizes = zip(self.prize_ids, self.units, chances, strict=True)
        return pool_pb2.PoolConfig(
            mode=pool_pb2.POOL_MODE_ODDS,
            status=pool_pb2.POOL_STATUS_OPEN,
            activity_id=self.activity_id,
            prizes=[
                pool_pb2.PoolPrize(
                    prize_id=prize_id,
                    name=f"Prize {place}",
                    units=units,
                    weight=round(chance * PPB),
                    enabled=True,
                    retired=place in retired,
                )
                for place, (prize_id, units, chance) in enumerate(prizes)
            ],
        )

    async def draw(self, count: int) -> list[int]:
        """Draw for *count* further users, in one step; the prize ids won, 0 for a miss."""
        users = range(self.draws + 1, self.draws + count + 1)
        self.draws += count
        intents = [intent(user_id, "r", pool_id=self.pool_id) for user_id in users]
        drawing = await self.store.draw(self.pool_id, intents)
        assert {answer.code for answer in drawing.answers} == {DrawCode.DRAWN}
        return [answer.draws[0].prize_id for answer in drawing.answers]

    async def record(self) -> None:
        """Carry the whole ledger into Postgres, as the recorder does."""
        async with self.postgres.acquire() as connection:
            await record(connection, self.pool_id, await self._entries(), {})

    async def _entries(self) -> list[Entry]:
        raw: Any = await self.redis.xrange(ledger_key(self.pool_id))
        return [decode_entry(*entry) for entry in raw]


async def open_pool(postgres: asyncpg.Pool, redis: Redis, *units: int) -> Pool:
    """An open activity with a prize of each of *units*; not published yet."""
    pool_id = await postgres.fetchval("SELECT nextval('pool_ids')")
    await postgres.execute(
        "INSERT INTO pools (id, mode, seed_commitment) VALUES ($1, 'odds', $2)",
        pool_id,
        b"\1" * 32,
    )
    activity_id = await postgres.fetchval(
        "INSERT INTO activities (pool_id, name, start_time, status)"
        " VALUES ($1, 'Spring', '2023-01-01Z', 'open') RETURNING id",
        pool_id,
    )
    prize_ids = [
        await postgres.fetchval(
            "INSERT INTO prizes (activity_id, pool_id, name, total_count, probability_ppb)"
            " VALUES ($1, $2, $3, $4, 0) RETURNING id",
            activity_id,
            pool_id,
            f"Prize {place}",
            count,
        )
        for place, count in enumerate(units)
    ]
    return Pool(postgres, redis, pool_id, activity_id, prize_ids, list(units))
