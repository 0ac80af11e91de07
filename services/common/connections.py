"""How many connections to Redis and Postgres there are, and how long work waits for one."""

import time
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

import asyncpg
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy
from prometheus_client import Gauge, Histogram
from redis.asyncio import BlockingConnectionPool, ConnectionPool

from services.common.traces.stores import connection_class

Acquired = TypeVar("Acquired")

OPEN = Gauge("kuji_connections_open", "Connections to a store, idle ones included", ["store"])
IN_USE = Gauge("kuji_connections_in_use", "Connections to a store that are in use", ["store"])
MOST = Gauge("kuji_connections_max", "How many connections to a store there may be", ["store"])
WAITING = Gauge("kuji_connections_waiting", "Work that waits for a connection", ["store"])
WAIT_S = Histogram(
    "kuji_connections_wait_seconds",
    "How long work waited for a connection to a store, a new one's making included",
    ["store"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10),
)
_POSTGRES, _REDIS = "postgres", "redis"


class _Waits:
    """Work that waits for connections of one pool."""

    def __init__(self, store: str) -> None:
        self._waiting = 0
        self._wait_s = WAIT_S.labels(store)
        WAITING.labels(store).set_function(lambda: self._waiting)

    async def measured(self, acquiring: Awaitable[Acquired]) -> Acquired:
        """What *acquiring* gives."""
        started = time.perf_counter()
        self._waiting += 1
        try:
            return await acquiring
        finally:
            self._waiting -= 1
            self._wait_s.observe(time.perf_counter() - started)


class _MeasuredAcquisition(PoolAcquireContext):  # type: ignore[misc]  # asyncpg has no types
    __slots__ = ("_waits",)

    def __init__(self, pool: asyncpg.Pool, timeout: float | None, waits: _Waits) -> None:
        super().__init__(pool, timeout)
        self._waits = waits

    async def __aenter__(self) -> PoolConnectionProxy:
        return await self._waits.measured(super().__aenter__())

    def __await__(self) -> Generator[Any, None, PoolConnectionProxy]:
        return self._waits.measured(super().__aenter__()).__await__()


async def _leave(_connection: asyncpg.Connection) -> None:
    """
    asyncpg has rolled back what was begun, and forgotten listeners, when it calls this.

    Whatever else its own query would reset (a session's locks, settings, cursors that outlive their
    transaction) nobody takes from a pool, and it would be a round trip more for each statement.
    """


class PostgresPool(asyncpg.Pool):  # type: ignore[misc]
    """
    A pool of at most *max_size* connections, opened when first needed; await it, or enter it.

    Args:
        timeout_s: A statement that takes longer raises TimeoutError.
        settings: The server's, for these connections.
    """

    __slots__ = ("_waits",)

    def __init__(
        self, dsn: str, max_size: int, timeout_s: float, settings: dict[str, str] | None = None
    ) -> None:
        super().__init__(
            dsn,
            min_size=0,
            max_size=max_size,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            loop=None,
            connection_class=connection_class(),
            record_class=asyncpg.Record,
            command_timeout=timeout_s,
            timeout=timeout_s,
            server_settings=settings,
            reset=_leave,
        )
        self._waits = _Waits(_POSTGRES)
        OPEN.labels(_POSTGRES).set_function(self.get_size)
        IN_USE.labels(_POSTGRES).set_function(lambda: self.get_size() - self.get_idle_size())
        MOST.labels(_POSTGRES).set(max_size)

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        """See asyncpg.Pool."""
        return _MeasuredAcquisition(self, timeout, self._waits)


class RedisPool(BlockingConnectionPool):
    """A BlockingConnectionPool whose waits are measured."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # as redis-py has them
        super().__init__(**options)
        self._waits = _Waits(_REDIS)
        show_redis_pool(self)

    async def get_connection(self, *names: Any, **options: Any) -> Any:  # noqa: ANN401
        """See BlockingConnectionPool."""
        getting = super().get_connection(*names, **options)  # type: ignore[no-untyped-call]
        return await self._waits.measured(getting)


def show_redis_pool(pool: ConnectionPool) -> None:
    """Show on metrics how many connections *pool* has."""

    def counts() -> list[int]:
        return [count for count, _ in pool.get_connection_count()]

    OPEN.labels(_REDIS).set_function(lambda: sum(counts()))
    IN_USE.labels(_REDIS).set_function(lambda: counts()[1])
    MOST.labels(_REDIS).set(pool.max_connections)
