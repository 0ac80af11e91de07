"""Postgres: the connection pool, and named SQL from files."""

import re
from pathlib import Path
from typing import Any

import aiosql
import asyncpg
from aiosql.query_loader import QueryLoader
from aiosql.types import QueryDatum

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
    return aiosql.from_path(file, "asyncpg", loader_cls=_PlainLoader, encoding="utf-8")


class _PlainLoader(QueryLoader):
    """
    Loads files without comments of several lines.

    aiosql looks for them character by character, which took a service half as long at its start as
    all else that becomes of its queries.
    """

    _name = re.compile(r"--\s*name\s*:\s*")

    def load_query_data_from_sql(
        self, sql: str, ns_parts: list[str], fname: Path | str = "<unknown>"
    ) -> list[QueryDatum]:
        """The queries in *sql*, see QueryLoader."""
        assert "/*" not in sql, f"{fname} has a comment of several lines"
        head, *queries = self._name.split(sql)
        data, line = [], 1 + head.count("\n")
        for query in queries:
            data.append(self._make_query_datum(query, ns_parts, (fname, line)))
            line += query.count("\n")
        return data
