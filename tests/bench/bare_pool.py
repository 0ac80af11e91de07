"""A pool that is in Redis alone: no service knows it, and no recorder."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from services.pool.rule.selection import Mode
from services.pool.rule.terms import PoolConfig, PrizeConfig
from services.pool.store.keys import key
from services.pool.store.redis_store import RedisStore
from tests.bench.jobs import Job, Tally
from tests.bench.pools import UNITS, WIN_PPB, BooksError
from tests.bench.servers import Bench

_DATABASE = 15
_POOL_ID = 1
_PRIZES = 4


@dataclass(frozen=True)
class BarePool:
    """The pool, and a client of its Redis."""

    bench: Bench
    redis: Redis

    def key(self, name: str) -> str:
        """A key of the pool."""
        return key(_POOL_ID, name)

    async def draw(self, name: str, draws: int, users: int, batch: int, in_flight: int) -> Tally:
        """
        Let the generator call the script.

        Raises:
            BooksError: Some of it drew nothing.
        """
        generator = self.bench.generator
        tally = await generator.do(
            Job(
                "bare",
                f"{self.bench.redis_server}/{_DATABASE}",
                name=name,
                pool_id=_POOL_ID,
                users=users,
                batch=batch,
                in_flight=in_flight,
                draws=draws,
            )
        )
        with tempfile.NamedTemporaryFile(prefix="kuji-acknowledged-") as file:
            told = await generator.do(Job("acknowledgements", file.name))
        if told.draws != draws:
            raise BooksError(f"of {draws} bare draws {told.draws} drew: {told.failures}")
        return tally


@asynccontextmanager
async def open_bare_pool(bench: Bench) -> AsyncIterator[BarePool]:
    """A pool like those of pools.py; gone at the end."""
    prizes = tuple(PrizeConfig(n, UNITS, WIN_PPB // _PRIZES) for n in range(1, _PRIZES + 1))
    async with Redis.from_url(f"{bench.redis_server}/{_DATABASE}") as redis:
        store = RedisStore(redis, max_backlog=1)
        await store.configure(_POOL_ID, 0, 1, PoolConfig(Mode.ODDS, prizes), "{}")
        yield BarePool(bench, redis)
        await redis.flushdb()
