"""The recorder's connections."""

import asyncpg
from redis.asyncio import Redis

from services.common.connections import PostgresPool, show_redis_pool
from services.common.traces.stores import noting
from services.recorder.settings import RecorderSettings

# Every row is looked up by its key, whatever the statistics say: the cost of a batch does not
# grow with the tables, and rows are locked in the order in which they are named.
_PLAN_BY_KEY = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


def open_postgres(settings: RecorderSettings) -> asyncpg.Pool:
    """Connections for the writers; await it, or enter it."""
    timeout_ms = int(settings.postgres_timeout_s * 1000)
    return PostgresPool(
        settings.postgres_dsn,
        settings.writers,
        settings.postgres_timeout_s,
        {
            "application_name": "kuji-recorder",
            # A recorder that hangs in a transaction must not keep others from its pools.
            "idle_in_transaction_session_timeout": str(timeout_ms),
            **_PLAN_BY_KEY,
        },
    )


def open_redis(settings: RecorderSettings) -> Redis:
    """A client whose replies stay bytes."""
    redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=settings.redis_timeout_s + settings.rest_block_ms / 1000,
        socket_connect_timeout=settings.redis_timeout_s,
    )
    show_redis_pool(redis.connection_pool)
    return noting(redis)
