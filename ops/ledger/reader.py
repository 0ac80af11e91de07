"""A pool's ledger out of Postgres, in its order, without holding it in memory."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from ops.ledger.file import Header, config_record
from services.common.postgres import Connection, load_queries
from services.pool.rule.replay import (
    ConfigRecord,
    DrawRecord,
    EntryRecord,
    GapRecord,
    LedgerRecord,
)

_queries: Any = load_queries(__file__)
_FETCH_ROWS = 5_000
_SEQ, _STAMP, _DRAW = 0, slice(1, 3), slice(3, None)  # of a row of the query draws


async def pool_of_activity(connection: Connection, activity_id: int) -> int | None:
    """The pool of an activity; None: no such activity."""
    pool_id: int | None = await _queries.pool_of_activity(connection, activity_id=activity_id)
    return pool_id


async def pool_of_box(connection: Connection, goods_id: int, num: int) -> int | None:
    """The pool of a box; None: no such box."""
    pool_id: int | None = await _queries.pool_of_box(connection, goods_id=goods_id, num=num)
    return pool_id


async def pool_exists(connection: Connection, pool_id: int) -> bool:
    """Whether there is such a pool."""
    return bool(await _queries.pool_exists(connection, pool_id=pool_id))


async def read_header(connection: Connection, pool_id: int) -> Header:
    """Whose ledger it is, and how long; the pool exists."""
    row = await _queries.pool(connection, pool_id=pool_id)
    return Header(
        row["pool_id"],
        row["activity_id"],
        row["seed_commitment"].hex(),
        row["seed"].hex() if row["seed"] else None,
        row["recorded_seq"],
        row["recorded_version"],
    )


async def read_ledger(connection: Connection, pool_id: int) -> AsyncIterator[LedgerRecord]:
    """
    The records of a pool; give it a connection inside a repeatable-read transaction.

    Raises:
        DiscrepancyError: A configuration is none.
    """
    configs = [row async for row in _queries.versions(connection, pool_id=pool_id)]
    gaps = [GapRecord(*row) async for row in _queries.gaps(connection, pool_id=pool_id)]
    seq = 0
    async for entry in _entries(connection, pool_id):
        for noted in _noted(configs, gaps, seq, entry.first_seq - 1):
            yield noted
        yield entry
        seq = entry.last_seq
    for noted in _noted(configs, gaps, seq, None):
        yield noted


def _noted(
    configs: list[Any], gaps: list[GapRecord], seq: int, up_to: int | None
) -> list[ConfigRecord | GapRecord]:
    """Configurations and gaps between draw *seq* and draw *up_to*; they are taken off the lists."""
    noted: list[ConfigRecord | GapRecord] = []
    while True:
        if configs and configs[0]["after_seq"] <= seq:
            noted.append(_config(configs.pop(0)))
        elif gaps and gaps[0].first_seq == seq + 1 and seq != up_to:
            noted.append(gap := gaps.pop(0))
            seq = gap.last_seq
        else:
            return noted


async def _entries(connection: Connection, pool_id: int) -> AsyncIterator[EntryRecord]:
    links = _fetched(connection, _queries.links.sql, pool_id)
    end = await anext(links, None)
    rows: list[Any] = []
    async for row in _fetched(connection, _queries.draws.sql, pool_id):
        if end is None:
            yield _part([row], 0)
            return
        if rows and row[_SEQ] != rows[-1][_SEQ] + 1:
            yield _part(rows, len(rows))
            rows = []
        rows.append(row)
        if row[_SEQ] >= end["seq"]:
            yield _entry(rows, end["link"])
            rows, end = [], await anext(links, None)
    if rows:
        yield _part(rows, len(rows))


async def _fetched(connection: Connection, query: str, pool_id: int) -> AsyncIterator[Any]:
    # Not aiosql's cursors: they open savepoints, which two that take turns would mix up.
    cursor = await connection.cursor(query, pool_id)
    while rows := await cursor.fetch(_FETCH_ROWS):
        for row in rows:
            yield row


def _entry(rows: list[Any], link: str) -> EntryRecord:
    """The entry of *rows*; if one has another time or version than most, the part before it."""
    stamps = [row[_STAMP] for row in rows]
    if stamps.count(stamps[0]) == len(stamps):
        return replace(_part(rows, len(rows)), link=link)
    stamp, draws = Counter(stamps).most_common(1)[0]
    has_most = draws > len(stamps) / 2
    return _part(rows, next(at for at, s in enumerate(stamps) if s != stamp) if has_most else 0)


def _part(rows: list[Any], draws: int) -> EntryRecord:
    """The first *draws* of *rows*, as an entry that breaks off there."""
    drawn_ms, version = rows[0][_STAMP]
    records = [DrawRecord._make(row[_DRAW]) for row in rows[:draws]]
    return EntryRecord(rows[0][_SEQ], drawn_ms, version, records, None)


def _config(row: Any) -> ConfigRecord:  # noqa: ANN401
    return config_record(
        document=row["config"],
        units=json.loads(row["units"]),
        after_seq=row["after_seq"],
        version=row["version"],
        changed_ms=row["changed_ms"],
        link=row["link"],
    )
