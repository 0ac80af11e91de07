"""A batch of ledger entries, with what Postgres has to say about them."""

from collections.abc import MutableMapping, Sequence

from services.common.postgres import Connection, load_queries
from services.pool.ledger.entries import ConfigEntry, Entry
from services.recorder.batch import (
    Batch,
    Gap,
    LedgerViolationError,
    Position,
    build_batch,
    has_gap,
    unrecorded,
    versions_in,
)
from services.recorder.configs import HeldConfig, held_config

_queries = load_queries(__file__)
Configs = MutableMapping[int, HeldConfig]


async def gather_batch(
    connection: Connection,
    pool_id: int,
    position: Position,
    entries: Sequence[Entry],
    configs: Configs,
) -> Batch:
    """
    What is to be written of *entries*.

    Args:
        connection: In the transaction of the batch.
        pool_id: The pool, locked.
        position: How far it is recorded.
        entries: Consecutive entries of its ledger; recorded ones are skipped.
        configs: Configurations by version; those that come up are added.

    Raises:
        LedgerViolationError: The entries do not follow what is recorded.
    """
    fresh = unrecorded(entries, position)
    await _load_configs(connection, pool_id, fresh, configs)
    gaps = await _load_gaps(connection, pool_id, position) if has_gap(fresh, position) else ()
    return build_batch(pool_id, position, fresh, configs, gaps)


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
