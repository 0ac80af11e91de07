"""The rows and sums of a batch, written within the caller's transaction."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from services.common.postgres import Connection, load_queries
from services.common.timestamps import datetime_of_ms
from services.recorder.batch import RECORD_COLUMNS, Batch, LedgerViolationError, WinnerRow
from services.recorder.boxes import BoxMemory
from services.recorder.configs import units_json
from services.recorder.order_items import add_order_items
from services.recorder.repair import repair

_queries = load_queries(__file__)


async def write(
    connection: Connection, batch: Batch, pool: asyncpg.Record, box: BoxMemory
) -> int | None:
    """
    Write *batch*; gives the newest number on the winner list, None without wins.

    Args:
        connection: In the transaction of the batch.
        batch: What follows what is recorded.
        pool: Its row, locked, as it was before.
        box: What is known of the pool's box.

    Raises:
        LedgerViolationError: The batch does not fit what is recorded.
    """
    if batch.configs:
        await _add_versions(connection, batch, pool["version"])
    if batch.rows:
        await connection.copy_records_to_table(
            "lottery_records", records=batch.rows, columns=RECORD_COLUMNS
        )
        await _add_links(connection, batch)
    if batch.wins:
        await _count_prizes(connection, batch)
    await _advance(connection, batch)
    if not batch.wins:
        return None
    await add_order_items(connection, batch, box)
    # Last, since all pools take numbers of one counter: they wait for each other from here on.
    return await _add_winners(connection, batch, pool["wins"])


async def _add_versions(connection: Connection, batch: Batch, known_version: int) -> None:
    configs = batch.configs
    await _queries.add_versions(
        connection,
        pool_id=batch.pool_id,
        versions=[entry.version for entry in configs],
        after_seqs=[entry.after_seq for entry in configs],
        configs=[entry.config_json for entry in configs],
        units=[units_json(entry) for entry in configs],
        changed_ats=[datetime_of_ms(entry.changed_ms) for entry in configs],
        links=[bytes.fromhex(entry.link) for entry in configs],
    )
    if configs[-1].version > known_version:
        await repair(connection, batch.pool_id, configs[-1])


async def _add_links(connection: Connection, batch: Batch) -> None:
    await _queries.add_links(
        connection,
        pool_id=batch.pool_id,
        seqs=[entry.last_seq for entry in batch.entries],
        links=[bytes.fromhex(entry.link) for entry in batch.entries],
    )


async def _count_prizes(connection: Connection, batch: Batch) -> None:
    won = batch.won_units
    rows = _queries.count_prizes(
        connection, pool_id=batch.pool_id, ids=list(won), wins=list(won.values())
    )
    missing = set(won).difference([row["id"] async for row in rows])
    if missing:
        raise LedgerViolationError(f"pool {batch.pool_id}: prizes {sorted(missing)} do not exist")


async def _advance(connection: Connection, batch: Batch) -> None:
    await _queries.advance_pool(
        connection,
        pool_id=batch.pool_id,
        seq=batch.end.seq,
        version=batch.end.version,
        draws=len(batch.rows),
        wins=len(batch.wins),
        users=batch.new_users,
    )


async def _add_winners(connection: Connection, batch: Batch, wins_before: int) -> int:
    win_no: int = await _queries.add_winners(
        connection, pool_id=batch.pool_id, wins_before=wins_before, **_columns(batch.wins)
    )
    return win_no


def _columns(wins: Sequence[WinnerRow]) -> dict[str, Any]:
    return {
        f"{name}s": list(column)
        for name, column in zip(WinnerRow._fields, zip(*wins, strict=True), strict=True)
    }
