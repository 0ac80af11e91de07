"""One batch of a pool's ledger into Postgres, in one transaction."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from services.common.postgres import Connection, load_queries
from services.pool.ledger.entries import Entry
from services.recorder.batch import Position
from services.recorder.boxes import BoxMemory
from services.recorder.gathering import Configs, gather_batch
from services.recorder.writer import write

_queries = load_queries(__file__)


class PoolHaltedError(Exception):
    """The pool's recording was stopped, or the pool is gone."""


class Recorded(NamedTuple):
    """
    What a committed batch did.

    Args:
        position: How far the pool is recorded now.
        draws: Rows written.
        win_no: Newest number on the winner list; None: no wins.
        oldest_ms: Of its oldest draw, Unix milliseconds; 0: no draws.
        is_awaited: Whether somebody may wait to be told.
    """

    position: Position
    draws: int
    win_no: int | None
    oldest_ms: int
    is_awaited: bool


async def record(
    connection: Connection,
    pool_id: int,
    entries: Sequence[Entry],
    configs: Configs,
    box: BoxMemory | None = None,
) -> Recorded:
    """
    Write what is not recorded of *entries*, all or nothing.

    Args:
        connection: Outside a transaction.
        pool_id: The pool.
        entries: Consecutive entries of its ledger; recorded ones are skipped.
        configs: Configurations by version; those that come up are added.
        box: What is known of the pool's box; asked for when it is needed.

    Raises:
        LedgerViolationError: The entries do not follow what is recorded.
        PoolHaltedError: Somebody stopped the pool's recording.
        asyncpg.PostgresError: A constraint does not hold, or Postgres is unwell.
    """
    async with connection.transaction():
        pool = await _lock(connection, pool_id)
        position = Position(pool["recorded_seq"], pool["recorded_version"])
        batch = await gather_batch(connection, pool_id, position, entries, configs)
        win_no = await write(connection, batch, pool, box or BoxMemory())
    return Recorded(batch.end, len(batch.rows), win_no, batch.oldest_ms, batch.is_awaited)


async def _lock(connection: Connection, pool_id: int) -> asyncpg.Record:
    pool = await _queries.lock_pool(connection, pool_id=pool_id)
    if pool is None or pool["halted_reason"]:
        raise PoolHaltedError(f"pool {pool_id}: {pool['halted_reason'] if pool else 'gone'}")
    return pool
