"""Looks at the stores on connections of their own, so that no load of ours keeps them waiting."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.common.postgres import load_queries
from services.common.server.needs import Look

_queries = load_queries(__file__)
_TIMEOUT_S = 1.0


@asynccontextmanager
async def looking_at_redis(url: str) -> AsyncIterator[Look]:
    """Whether the Redis at *url* answers."""
    async with Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    ) as redis:
        yield redis.ping


@asynccontextmanager
async def looking_at_postgres(dsn: str) -> AsyncIterator[Look]:
    """Whether the Postgres at *dsn* answers."""
    look = _PostgresLook(dsn)
    try:
        yield look
    finally:
        look.close()


class _PostgresLook:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None

    async def __call__(self) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(
                self._dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S
            )
        try:
            await _queries.answer(self._connection)
        except BaseException:
            self.close()  # whatever state it is in, the next look has a fresh one
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
