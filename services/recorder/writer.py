"""One batch of a pool's ledger into Postgres, in one transaction."""

from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from services.common.postgres import Connection, load_queries
from services.common.timestamps import datetime_of_ms
from services.pool.ledger.entries import ConfigEntry, Entry
from services.recorder.batch import (
    RECORD_COLUMNS,
    Batch,
    Gap,
    LedgerViolationError,
    Position,
    Win,
    build_batch,
    has_gap,
    unrecorded,
    versions_in,
)
from services.recorder.configs import HeldConfig, held_config, units_json
from services.recorder.order_items import BoxMemory, add_order_items
from services.recorder.repair import repair

_queries = load_queries(__file__)
Configs = MutableMapping[int, HeldConfig]


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
        fresh = unrecorded(entries, position)
        await _load_configs(connection, pool_id, fresh, configs)
        gaps = await _load_gaps(connection, pool_id, position) if has_gap(fresh, position) else ()
        batch = build_batch(pool_id, position, fresh, configs, gaps)
        await _write(connection, batch, pool["version"])
        await _add_order_items(connection, batch, fresh, box or BoxMemory())
        win_no = await _add_winners(connection, batch, pool["wins"]) if batch.wins else None
    return Recorded(batch.end, len(batch.rows), win_no, batch.oldest_ms, batch.is_awaited)


async def _lock(connection: Connection, pool_id: int) -> asyncpg.Record:
    pool = await _queries.lock_pool(connection, pool_id=pool_id)
    if pool is None or pool["halted_reason"]:
        raise PoolHaltedError(f"pool {pool_id}: {pool['halted_reason'] if pool else 'gone'}")
    return pool


async def _load_configs(
    connection: Connection, pool_id: int, entries: Sequence[Entry], configs: Configs
) -> None:
    for entry in entries:
        if isinstance(entry, ConfigEntry):
            configs[entry.version] = held_config(entry.config_json)
    missing = versions_in(entries).difference(configs)
    if missing:
        rows = _queries.pool_configs(connection, pool_id=pool_id, versions=list(missing))
        configs.update({row["version"]: held_config(row["config"]) async for row in rows})
    unknown = missing.difference(configs)
    if unknown:
        raise LedgerViolationError(f"pool {pool_id}: no configuration {sorted(unknown)}")


async def _load_gaps(connection: Connection, pool_id: int, position: Position) -> list[Gap]:
    rows = _queries.ledger_gaps(connection, pool_id=pool_id, after_seq=position.seq)
    return [Gap(row["first_seq"], row["last_seq"]) async for row in rows]


async def _write(connection: Connection, batch: Batch, known_version: int) -> None:
    if batch.configs:
        await _add_versions(connection, batch, known_version)
    if batch.rows:
        await connection.copy_records_to_table(
            "lottery_records", records=batch.rows, columns=RECORD_COLUMNS
        )
        await _add_links(connection, batch)
    if batch.wins:
        await _count_prizes(connection, batch)
    await _advance(connection, batch)


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
    seqs, links = zip(*batch.links, strict=True)
    await _queries.add_links(connection, pool_id=batch.pool_id, seqs=seqs, links=links)


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


async def _add_order_items(
    connection: Connection, batch: Batch, entries: Sequence[Entry], memory: BoxMemory
) -> None:
    if not batch.wins or batch.wins[0].activity_id is not None:
        return
    box = await memory.of(connection, batch.pool_id)
    if box is not None:
        await add_order_items(connection, box, batch, entries)


def _columns(wins: Sequence[Win]) -> dict[str, Any]:
    return {
        f"{name}s": list(column)
        for name, column in zip(Win._fields, zip(*wins, strict=True), strict=True)
    }


async def _add_winners(connection: Connection, batch: Batch, wins_before: int) -> int:
    win_no: int = await _queries.add_winners(
        connection, pool_id=batch.pool_id, wins_before=wins_before, **_columns(batch.wins)
    )
    return win_no
