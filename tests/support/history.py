"""Pools, users and ledgers for the tests of the history service and the recorder."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
from google.protobuf import json_format
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.context import Caller, RequestContext, Role
from services.history.assembly import HistoryParts, open_history
from services.history.settings import HistorySettings
from services.pool.ledger.entries import (
    ConfigEntry,
    Draw,
    DrawEntry,
    Entry,
    PrizeUnits,
    encode_entry,
)
from services.pool.rule.prize_code import CODE_BYTES
from services.pool.store.keys import ledger_key
from services.recorder.connections import open_postgres, open_redis
from services.recorder.recorder import Recorder
from services.recorder.settings import RecorderSettings

START_MS = 1_700_000_000_000
PPB = 1_000_000_000


@dataclass(frozen=True)
class PrizeSpec:
    """A prize as the tests configure it."""

    prize_id: int
    units: int = 1000
    weight: int = PPB // 4
    name: str = "A mug"
    retired: bool = False


@dataclass
class LedgerWriter:
    """Writes a pool's ledger as the draw service does; keeps the next seq and user counts."""

    redis: Redis
    pool_id: int
    activity_id: int = 0
    seq: int = 0
    version: int = 0
    draws_of: dict[int, int] = field(default_factory=dict)

    async def add(self, entry: Entry) -> None:
        """Append *entry* as it is."""
        stream_id, fields = encode_entry(entry)
        await self.redis.xadd(ledger_key(self.pool_id), fields, id=stream_id)

    async def configure(
        self, version: int, prizes: Sequence[PrizeSpec], **config: Any
    ) -> ConfigEntry:
        """Append a configuration that holds from here on."""
        entry = config_entry(self.seq, version, prizes, activity_id=self.activity_id, **config)
        await self.add(entry)
        self.version = version
        return entry

    async def draw(self, outcomes: Sequence[tuple[int, int]]) -> DrawEntry:
        """Append an entry with one draw for each (user id, prize id; 0: a miss)."""
        entry = self.entry(outcomes)
        await self.add(entry)
        return entry

    def entry(self, outcomes: Sequence[tuple[int, int]]) -> DrawEntry:
        """The entry that draw() would append; counts it as appended."""
        draws = [self._draw(user_id, prize_id) for user_id, prize_id in outcomes]
        self.seq += len(draws)
        return DrawEntry(self.seq, START_MS + self.seq, self.version, draws)

    def _draw(self, user_id: int, prize_id: int) -> Draw:
        number = self.draws_of[user_id] = self.draws_of.get(user_id, 0) + 1
        request_id = f"r-{user_id}-{number}".encode()
        code_bytes = number.to_bytes(CODE_BYTES) if prize_id else b""
        return Draw(user_id, request_id, 0, 1, number, prize_id, 5, PPB // 4, PPB, code_bytes)


def config_entry(
    after_seq: int, version: int, prizes: Sequence[PrizeSpec], **config: Any
) -> ConfigEntry:
    """A configuration entry; *config* are further fields of PoolConfig."""
    message = pool_pb2.PoolConfig(
        mode=pool_pb2.POOL_MODE_ODDS,
        **{"status": pool_pb2.POOL_STATUS_OPEN, "start_ms": START_MS, **config},
        prizes=[
            pool_pb2.PoolPrize(
                prize_id=prize.prize_id,
                name=prize.name,
                units=prize.units,
                weight=prize.weight,
                enabled=True,
                retired=prize.retired,
            )
            for prize in prizes
        ],
    )
    units = [PrizeUnits(prize.prize_id, prize.units, prize.units) for prize in prizes]
    return ConfigEntry(
        after_seq, version, json_format.MessageToJson(message, indent=None), units, START_MS
    )


async def make_users(postgres: asyncpg.Pool, count: int) -> list[int]:
    """*count* users named user-0 …; their ids."""
    rows = await postgres.fetch(
        "INSERT INTO users (username, password_hash)"
        " SELECT 'user-' || n, 'x' FROM generate_series(0, $1 - 1) AS n ORDER BY n RETURNING id",
        count,
    )
    return [row["id"] for row in rows]


async def make_pool(
    postgres: asyncpg.Pool, redis: Redis, prizes: int = 2, units: int = 1000, name: str = "Spring"
) -> tuple[LedgerWriter, list[PrizeSpec]]:
    """An open activity with its pool and prizes, in Postgres and in the ledger, as published."""
    async with postgres.acquire() as connection, connection.transaction():
        pool_id = await connection.fetchval("SELECT nextval('pool_ids')")
        version = await connection.fetchval("SELECT nextval('pool_versions_seq')")
        await connection.execute(
            "INSERT INTO pools (id, mode, seed_commitment, version) VALUES ($1, 'odds', $2, $3)",
            pool_id,
            b"\1" * 32,
            version,
        )
        activity_id = await connection.fetchval(
            "INSERT INTO activities (pool_id, name, start_time, status)"
            " VALUES ($1, $2, '2023-01-01Z', 'open') RETURNING id",
            pool_id,
            name,
        )
        ids = [
            await connection.fetchval(
                "INSERT INTO prizes (activity_id, pool_id, name, total_count, probability_ppb)"
                " VALUES ($1, $2, $3, $4, $5) RETURNING id",
                activity_id,
                pool_id,
                f"Prize {n}",
                units,
                PPB // 4,
            )
            for n in range(prizes)
        ]
    specs = [PrizeSpec(id_, units=units, name=f"Prize {n}") for n, id_ in enumerate(ids)]
    writer = LedgerWriter(redis, pool_id, activity_id)
    await writer.configure(version, specs)
    return writer, specs


async def mark_answered(postgres: asyncpg.Pool, pool_id: int, seq: int) -> None:
    """Note that the draws of a pool up to *seq* were answered, as draw processes do."""
    await postgres.execute(
        "INSERT INTO pool_marks (pool_id, seq, reserved_seq, run_id, witness)"
        " VALUES ($1, $2, $2, '', '')",
        pool_id,
        seq,
    )


async def next_version(postgres: asyncpg.Pool) -> int:
    """A configuration version never used before."""
    version: int = await postgres.fetchval("SELECT nextval('pool_versions_seq')")
    return version


def changed(prize: PrizeSpec, **changes: Any) -> PrizeSpec:
    """*prize* with some fields changed."""
    return replace(prize, **changes)


async def eventually(condition: Callable[[], Awaitable[bool]], timeout_s: float = 60.0) -> None:
    """Wait for what another task or process is about to do; TimeoutError when it does not."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110  # Postgres tells nobody
            await asyncio.sleep(0.01)


async def until_recorded(postgres: asyncpg.Pool, writer: LedgerWriter) -> None:
    """Wait until all that *writer* wrote is in Postgres."""

    async def is_recorded() -> bool:
        row = await postgres.fetchrow(
            "SELECT recorded_seq, recorded_version FROM pools WHERE id = $1", writer.pool_id
        )
        return row is not None and tuple(row) == (writer.seq, writer.version)

    await eventually(is_recorded)


@asynccontextmanager
async def recording(
    postgres_dsn: str, redis_url: str, **settings: Any
) -> AsyncIterator[RecorderSettings]:
    """A recorder runs meanwhile, and has stopped by itself at the end."""
    told = RecorderSettings(listen="", postgres_dsn=postgres_dsn, redis_url=redis_url, **settings)
    redis = open_redis(told)
    async with open_postgres(told) as postgres, asyncio.TaskGroup() as tasks:
        recorder = Recorder(postgres, redis, told)
        running = tasks.create_task(recorder.run())
        try:
            yield told
        finally:
            recorder.stop()
            await asyncio.wait([running])
    await redis.aclose()


@dataclass(frozen=True)
class Books:
    """
    What Postgres says of a pool.

    Args:
        draws: (seq, user id, prize id; 0: a miss), by seq.
        wins: (pool win no, seq, prize id), by pool win no.
        won_counts: Prize id → won_count.
        counters: draws, wins, unique_users, recorded_seq.
    """

    draws: list[tuple[int, int, int]]
    wins: list[tuple[int, int, int]]
    won_counts: dict[int, int]
    counters: tuple[int, int, int, int]


async def books(postgres: asyncpg.Pool, pool_id: int) -> Books:
    """The pool's books."""
    draws = await postgres.fetch(
        "SELECT seq, user_id, coalesce(prize_id, 0) FROM lottery_records"
        " WHERE pool_id = $1 ORDER BY seq",
        pool_id,
    )
    wins = await postgres.fetch(
        "SELECT pool_win_no, seq, prize_id FROM winners WHERE pool_id = $1 ORDER BY 1", pool_id
    )
    prizes = await postgres.fetch("SELECT id, won_count FROM prizes WHERE pool_id = $1", pool_id)
    counters = await postgres.fetchrow(
        "SELECT draws, wins, unique_users, recorded_seq FROM pools WHERE id = $1", pool_id
    )
    return Books(
        [tuple(row) for row in draws],
        [tuple(row) for row in wins],
        {row["id"]: row["won_count"] for row in prizes},
        tuple(counters),
    )


def expected_books(outcomes: Sequence[tuple[int, int]], prizes: Sequence[PrizeSpec]) -> Books:
    """The books that draws with these (user id, prize id), from seq 1 on, must give."""
    draws = [(seq, *outcome) for seq, outcome in enumerate(outcomes, 1)]
    won = [(seq, prize_id) for seq, _, prize_id in draws if prize_id]
    counts = Counter(prize_id for _, prize_id in won)
    users = {user_id for user_id, _ in outcomes}
    return Books(
        draws,
        [(number, *win) for number, win in enumerate(won, 1)],
        {prize.prize_id: counts[prize.prize_id] for prize in prizes},
        (len(draws), len(won), len(users), len(draws)),
    )


ANYONE = RequestContext(None, 5.0)


def as_user(user_id: int) -> RequestContext:
    """A call by a user."""
    return RequestContext(Caller(user_id, f"user-{user_id}", Role.USER), 5.0)


AS_SERVICE = RequestContext(Caller(0, "shop", Role.SERVICE), 5.0)
AS_ADMIN = RequestContext(Caller(999_999, "admin", Role.ADMIN), 5.0)


@asynccontextmanager
async def history_of(
    postgres_dsn: str, redis_url: str, **changes: Any
) -> AsyncIterator[HistoryParts]:
    """A history service."""
    told = HistorySettings(
        listen="",
        postgres_dsn=postgres_dsn,
        redis_url=redis_url,
        auth_address="127.0.0.1:1",
        **changes,
    )
    async with open_history(told) as history:
        yield history
