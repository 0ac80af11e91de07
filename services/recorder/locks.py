"""Which pools this process records: one advisory lock each, on a connection of their own."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager

import asyncpg

from services.common.postgres import load_queries
from services.recorder.batch import Position
from services.recorder.held import HeldPool

_queries = load_queries(__file__)
_CHANNEL = "kuji_pools"


class PoolLocks:
    """The locks; they are free again as soon as their connection is gone."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def take(self, held: Collection[int]) -> list[HeldPool]:
        """Lock what nobody records, *held* aside."""
        rows = _queries.take_pools(self._connection, held=list(held))
        return [
            HeldPool(
                row["id"],
                Position(row["recorded_seq"], row["recorded_version"]),
                row["recorded_seq"],
            )
            async for row in rows
        ]

    async def give_back(self, pool_ids: Iterable[int]) -> None:
        """Unlock pools."""
        async for _ in _queries.give_back_pools(self._connection, ids=list(pool_ids)):
            pass


@asynccontextmanager
async def open_locks(
    dsn: str, timeout_s: float, on_news: Callable[[], None] = lambda: None
) -> AsyncIterator[PoolLocks]:
    """
    Locks for as long as the context lasts.

    Args:
        dsn: Of the database.
        timeout_s: Bound of one statement.
        on_news: Called when there may be a pool to take, or the connection is lost.
    """
    # Keepalives tell the server within seconds that a recorder's machine is gone.
    connection = await asyncpg.connect(
        dsn,
        timeout=timeout_s,
        command_timeout=timeout_s,
        server_settings={
            "application_name": "kuji-recorder-locks",
            "tcp_keepalives_idle": "5",
            "tcp_keepalives_interval": "2",
            "tcp_keepalives_count": "3",
        },
    )
    try:
        connection.add_termination_listener(lambda _: on_news())
        await connection.add_listener(_CHANNEL, lambda *_: on_news())
        yield PoolLocks(connection)
    finally:
        connection.terminate()
