"""Postgres: the connection pool, and named SQL from files."""

from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from services.common.connections import PostgresPool

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


async def open_pool(dsn: str, max_size: int = 8, timeout_s: float = 5.0) -> asyncpg.Pool:
    """
    A pool of at most *max_size* connections, opened when first needed.

    A statement that takes longer than *timeout_s* raises TimeoutError.
    """
    return await PostgresPool(dsn, max_size, timeout_s)


def load_queries(store_module: str) -> Any:  # noqa: ANN401  # aiosql makes the methods at run time
    """The named queries of queries.sql beside *store_module* (its __file__)."""
    file = Path(store_module).with_name("queries.sql")
    return aiosql.from_path(file, "asyncpg", encoding="utf-8")
