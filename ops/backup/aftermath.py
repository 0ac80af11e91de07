"""What came after a backup: by pool, what Redis still has of it, and what is lost."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
from redis.asyncio import Redis

from services.common.postgres import load_queries
from services.pool.ledger.entries import DrawEntry, MalformedEntryError, decode_entry
from services.pool.marks.mark import Mark
from services.pool.store.keys import STATE, key, ledger_key
from services.pool.store.layout import StateField

_queries: Any = load_queries(__file__)
_LAST_SUB_ID = (1 << 64) - 1
_AT_ONCE = 10_000


class Fate(NamedTuple):
    """
    What becomes of a pool after a restore.

    Args:
        pool_id: Which.
        sentence: What came after the backup; "": as far as anybody knows, nothing.
        is_lost: Whether something of it is.
        is_to_rebuild: Whether Redis does not have it, or is older.
    """

    pool_id: int
    sentence: str = ""
    is_lost: bool = False
    is_to_rebuild: bool = False


class _Left(NamedTuple):
    """Of a pool in Redis: its newest draw; the oldest in its ledger after the backup."""

    seq: int
    first_seq: int | None


async def fates(
    connection: asyncpg.Connection, redis: Redis | None, marks: Mapping[int, Mark]
) -> list[Fate]:
    """
    Of every pool that Postgres, Redis or *marks* know.

    Args:
        connection: To the restored database.
        redis: As it is after the restore; nothing draws. None: it is not known where it is.
        marks: What files of this machine know to have been answered.
    """
    pools = [tuple(row) async for row in _queries.pools(connection)]
    found = []
    for pool_id, _, recorded_seq, mark_seq, _ in pools:
        left = await _left(redis, pool_id, recorded_seq) if redis is not None else None
        found.append(fate(pool_id, recorded_seq, mark_seq, left))
    known = {pool[0] for pool in pools}
    later = (await _pools_of(redis) if redis is not None else set()) | marks.keys()
    for pool_id in sorted(later - known):
        left = await _left(redis, pool_id, 0) if redis is not None else None
        draws = max(left.seq if left is not None else 0, marks.get(pool_id, Mark()).seq)
        found.append(_unknown_to_backup(pool_id, draws))
    return found


def _unknown_to_backup(pool_id: int, draws: int) -> Fate:
    sentence = "was made after the backup: its seed is gone, and with it "
    if not draws:
        return Fate(pool_id, f"{sentence}nothing, since nothing was drawn", is_lost=True)
    told = "its only draw" if draws == 1 else f"its {draws} draws"
    return Fate(
        pool_id, f"{sentence}{told}, which can be neither recorded nor proven", is_lost=True
    )


def fate(pool_id: int, recorded_seq: int, mark_seq: int, left: _Left | None) -> Fate:
    """
    Of a pool that is in the backup.

    Args:
        recorded_seq: Newest draw in the backup.
        mark_seq: Newest draw that is known to have been answered.
        left: What Redis has.
    """
    seq = 0 if left is None else left.seq
    if left is None or seq < max(mark_seq, recorded_seq):
        return _without_redis(pool_id, recorded_seq, mark_seq)
    if seq == recorded_seq:
        return Fate(pool_id)
    if left.first_seq is None or left.first_seq > recorded_seq + 1:
        last_seq = seq if left.first_seq is None else left.first_seq - 1
        sentence = (
            f"{_draws(recorded_seq + 1, last_seq)} in neither the backup nor Redis's ledger; "
            "unless these places were never used, recording halts: a newer backup is needed"
        )
        return Fate(pool_id, sentence, is_lost=True)
    there = _draws(recorded_seq + 1, seq)
    return Fate(pool_id, f"{there} in Redis's ledger, and will be recorded from there")


def _without_redis(pool_id: int, recorded_seq: int, mark_seq: int) -> Fate:
    if mark_seq <= recorded_seq:
        return Fate(pool_id, is_to_rebuild=True)
    sentence = (
        f"{_draws(recorded_seq + 1, mark_seq)} lost, though answered: who won what is not known; "
        "the rebuild holds units back for them"
    )
    return Fate(pool_id, sentence, is_lost=True, is_to_rebuild=True)


def _draws(first: int, last: int) -> str:
    return f"draw {first} is" if first == last else f"draws {first} to {last} are"


async def _left(redis: Redis, pool_id: int, recorded_seq: int) -> _Left | None:
    seq = await redis.hget(key(pool_id, STATE), StateField.SEQ)
    if seq is None:
        return None
    after = f"({recorded_seq}-{_LAST_SUB_ID}"
    entries: Any = await redis.xrange(ledger_key(pool_id), after, "+", count=1)
    return _Left(int(seq), _first_seq(entries[0]) if entries else None)


def _first_seq(raw: Sequence[Any]) -> int | None:
    try:
        entry = decode_entry(raw[0], raw[1])
    except MalformedEntryError:
        return None
    return entry.first_seq if isinstance(entry, DrawEntry) else entry.after_seq + 1


async def _pools_of(redis: Redis) -> set[int]:
    pattern = key(0, STATE).replace("0", "*")
    keys = [name async for name in redis.scan_iter(match=pattern, count=_AT_ONCE)]
    return {int(name.partition(b":")[2].partition(b"}")[0]) for name in keys}
