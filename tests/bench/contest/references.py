"""References as sides: their processes, their stores, and their activities."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex

import asyncpg
import jwt
import msgpack
from redis.asyncio import Redis

from services.common.postgres import load_queries
from stack.ports import free_port
from stack.processes import Child, Program, stop
from tests.bench import references
from tests.bench.contest.lottery import DRAWS_PER_USER, OFFERS, PPB, Offer, Opened
from tests.bench.contest.sides import Crowd, Record, Side
from tests.bench.machine import family_cpu_s
from tests.bench.scale import Scale
from tests.bench.servers import Bench

_FOLDER = Path(references.__file__).parent
queries = load_queries(references.__file__)
_ALGORITHM = "HS256"
_STOP_TIMEOUT_S = 10.0
Field = bytes | bytearray | memoryview | str | int | float
_DAY_MS = 86_400_000
_REDIS_DATABASE = 15  # sites have those before


@dataclass(frozen=True)
class Reference:
    """
    What is run of one.

    Args:
        module: Of tests.bench.references.
        name: In the table.
        connections: To each store, of each process.
        processes: How many share the port.
        has_units: Whether each unit is a row.
        has_redis: Whether it draws in Redis.
    """

    module: str
    name: str
    connections: int
    processes: int = 2
    has_units: bool = False
    has_redis: bool = False


# A process for each of two cores; how the connections were chosen: docs/performance.md.
ROW_LOCKS = Reference("row_locks", "A, row locks", 16)
UNIT_ROWS = Reference("unit_rows", "A2, a row per unit", 16, has_units=True)
IN_BACKGROUND = Reference("in_background", "B, INSERT in the background", 16, has_redis=True)


class ReferenceSide(Side):
    """
    A reference that runs.

    Args:
        reference: Which.
        port: On loopback.
        crowd: Who may draw.
        children: Its processes.
        postgres: Its database.
        redis: Its Redis.
        stores: The servers of the two.
    """

    def __init__(
        self,
        reference: Reference,
        port: int,
        crowd: Crowd,
        children: Sequence[Child],
        postgres: asyncpg.Pool,
        redis: Redis,
        stores: Sequence[Child],
    ) -> None:
        super().__init__(reference.name, port, crowd)
        self._reference = reference
        self._children = children
        self._postgres = postgres
        self._redis = redis
        self._stores = stores

    async def open_activity(self) -> Opened:
        """Its rows, and where it draws in Redis its hashes."""
        activity_id = await queries.insert_activity(self._postgres, draws=DRAWS_PER_USER)
        opened = Opened(activity_id, {})
        for offer in OFFERS:
            prize_id = await queries.insert_prize(
                self._postgres,
                activity_id=activity_id,
                name=offer.name,
                units=offer.units,
                probability_ppb=_ppb(offer),
            )
            opened.offers[prize_id] = offer
            if self._reference.has_units:
                rows = min(offer.units, self.crowd.left)  # nobody could win the others
                await queries.insert_units(self._postgres, prize_id=prize_id, units=rows)
        await queries.vacuum(self._postgres)
        if self._reference.has_redis:
            await self._open_in_redis(opened)
        return opened

    async def _open_in_redis(self, opened: Opened) -> None:
        now_ms, offers = int(time.time() * 1000), opened.offers
        activity: dict[Field, Field] = {
            "status": "ongoing",
            "start_ms": now_ms - _DAY_MS,
            "end_ms": now_ms + _DAY_MS,
            "max_user": DRAWS_PER_USER,
            "max_day": DRAWS_PER_USER,
            "ids": msgpack.packb(list(offers)),
            "weights": msgpack.packb([_ppb(offer) for offer in offers.values()]),
            "names": msgpack.packb({id_: offer.name for id_, offer in offers.items()}),
        }
        units: dict[Field, Field] = {str(id_): offer.units for id_, offer in offers.items()}
        await self._redis.hset(f"units:{opened.activity_id}", mapping=units)
        await self._redis.hset(f"activity:{opened.activity_id}", mapping=activity)

    async def recorded(self, opened: Opened) -> int:
        """Its rows, counted."""
        return int(await queries.count_records(self._postgres, activity_id=opened.activity_id))

    async def records(self, opened: Opened) -> Iterable[Record]:
        """Its rows."""
        rows = queries.list_records(self._postgres, activity_id=opened.activity_id)
        return [Record(**row) async for row in rows]

    def cpu_s(self) -> float:
        """Of its processes, and of the stores, which are its own meanwhile."""
        return sum(family_cpu_s(child.pid) for child in [*self._children, *self._stores])

    def kill(self) -> None:
        """End all its processes as a crash would."""
        for child in self._children:
            os.kill(child.pid, signal.SIGKILL)


def _ppb(offer: Offer) -> int:
    return offer.percent * PPB // 100


@asynccontextmanager
async def reference_side(
    bench: Bench, reference: Reference, scale: Scale
) -> AsyncIterator[ReferenceSide]:
    """*reference* at work on the bench's stores, with the scale's crowd who have not drawn."""
    port, secret = free_port(), token_hex(32)
    dsn = await bench.create_database(f"reference_{port}")
    redis_url = f"{bench.redis_server}/{_REDIS_DATABASE}"
    environment = {
        **os.environ,
        "REFERENCE_POSTGRES_DSN": dsn,
        "REFERENCE_REDIS_URL": redis_url,
        "REFERENCE_TOKEN_SECRET": secret,
        "REFERENCE_CONNECTIONS": str(reference.connections),
    }
    command = [sys.executable, "-m", "tests.bench.references", reference.module, str(port)]
    async with (
        asyncpg.create_pool(dsn, min_size=0, max_size=2) as postgres,
        Redis.from_url(redis_url) as redis,
    ):
        await postgres.execute((_FOLDER / "schema.sql").read_text("utf-8"))
        log = bench.folder / f"{reference.module}-{port}"
        children = [
            Child(Program(reference.module, command, log.with_suffix(f".{n}.log"), environment))
            for n in range(1 if scale.is_smoke else reference.processes)
        ]
        try:
            for child in children:
                await child.wait_until_ready(partial(_has_started, child.program.log))
            crowd = _crowd(bench.folder / f"tokens-{port}", scale.crowd, secret)
            stores = [bench.postgres, bench.valkey]
            yield ReferenceSide(reference, port, crowd, children, postgres, redis, stores)
        finally:
            stop(children, _STOP_TIMEOUT_S)
            await redis.flushdb()


async def _has_started(log: Path) -> bool:
    # They share a port, so that does not tell which of them answers.
    return "startup complete" in await asyncio.to_thread(log.read_text, "utf-8")


def _crowd(file: Path, users: int, secret: str) -> Crowd:
    expires = int(time.time()) + 86_400
    with file.open("w") as out:
        for user_id in range(1, users + 1):
            claims = {"sub": str(user_id), "exp": expires}
            out.write(jwt.encode(claims, secret, algorithm=_ALGORITHM) + "\n")
    return Crowd(file, users)
