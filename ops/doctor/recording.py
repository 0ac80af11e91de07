"""From Redis to Postgres: how far the recorder is, and what has stopped."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from redis.asyncio import Redis

from ops.doctor.patient import Patient
from ops.doctor.symptoms import Symptom, runbook, warning, well, wrong
from services.common.postgres import load_queries
from services.pool.books.collector import Auditor
from services.pool.ledger.entries import ConfigEntry, MalformedEntryError, decode_entry
from services.pool.store.keys import ledger_key

_queries: Any = load_queries(__file__)
_AT_ONCE = 1000
_SLOW_S, _STUCK_S = 10.0, 60.0
_MAX_BACKLOG_DRAWS = 2_000_000
_LAST_SUB_ID = (1 << 64) - 1


async def halted(patient: Patient) -> list[Symptom]:
    """No pool's recording is halted."""
    return [
        wrong(
            f"recording of pool {row['id']} is halted: {row['halted_reason']}",
            "its draws are not in Postgres; it goes on drawing until its backlog is full",
            runbook("a-pools-recording-is-halted"),
        )
        async for row in _queries.halted(patient.postgres)
    ] or [well("no pool's recording is halted")]


async def backlog(patient: Patient) -> list[Symptom]:
    """What is drawn is recorded within moments."""
    assert patient.redis is not None
    rows = [tuple(row) async for row in _queries.live_positions(patient.postgres)]
    recorded: dict[int, int] = dict(rows)
    waiting = await _waiting(patient.redis, recorded)
    if not waiting:
        return [well(f"everything drawn is recorded, in {len(recorded)} pools")]
    given = patient.environment.get("KUJI_MAX_BACKLOG_DRAWS")
    return [judge_backlog(waiting, int(given or _MAX_BACKLOG_DRAWS))]


class Waiting(NamedTuple):
    """Draws of a pool that are not recorded, and for how long the oldest waits."""

    draws: int
    oldest_s: float


def judge_backlog(waiting: Mapping[int, Waiting], max_draws: int) -> Symptom:
    """Whether the recorder is far behind, by pool."""
    draws, most = (f(one.draws for one in waiting.values()) for f in (sum, max))
    pool_id = max(waiting, key=lambda one: waiting[one].oldest_s)
    oldest_s = waiting[pool_id].oldest_s
    sentence = f"{draws:,} draws are not recorded yet; the oldest waits for {oldest_s:,.1f} s"
    where = f"{sentence} (pool {pool_id})"
    step = runbook("backlog-and-overload")
    if most >= max_draws:
        return wrong(where, "new draws get OVERLOADED", step)
    if oldest_s >= _STUCK_S or most >= max_draws // 2:
        why = f"nobody sees those wins; at {max_draws:,} draws of a pool, new ones are shed"
        return wrong(where, why, step)
    if oldest_s >= _SLOW_S:
        return warning(where, "the winner list is late: does a recorder run?", step)
    return well(sentence)


async def _waiting(redis: Redis, recorded: Mapping[int, int]) -> dict[int, Waiting]:
    seconds, _ = await redis.time()
    waiting = {}
    for pool_ids in _chunks(recorded):
        async with redis.pipeline(transaction=False) as pipe:
            for pool_id in pool_ids:
                # Ids may have been skipped: what counts is what is in the ledger.
                after = f"({recorded[pool_id]}-{_LAST_SUB_ID}"
                pipe.xrange(ledger_key(pool_id), after, "+", count=1)
                pipe.xrevrange(ledger_key(pool_id), "+", after, count=1)
            replies = await pipe.execute()
        for pool_id, oldest, newest in zip(pool_ids, replies[::2], replies[1::2], strict=True):
            if oldest and newest:
                waiting[pool_id] = _between(oldest[0], newest[0], int(seconds))
    return waiting


def _chunks(pool_ids: Iterable[int]) -> Iterator[list[int]]:
    left = iter(pool_ids)
    return iter(lambda: list(itertools.islice(left, _AT_ONCE)), [])


def _between(oldest: tuple[bytes, Any], newest: tuple[bytes, Any], now_s: int) -> Waiting:
    last_seq = int(newest[0].partition(b"-")[0])
    try:
        entry = decode_entry(*oldest)
    except MalformedEntryError:
        return Waiting(1, 0.0)  # the books have a finding for that
    if isinstance(entry, ConfigEntry):
        return Waiting(last_seq - entry.after_seq, max(0.0, now_s - entry.changed_ms / 1000))
    return Waiting(last_seq - entry.first_seq + 1, max(0.0, now_s - entry.drawn_ms / 1000))


async def held(patient: Patient) -> list[Symptom]:
    """No units are held back."""
    assert patient.postgres is not None
    assert patient.redis is not None
    units = await Auditor(patient.postgres, patient.redis).held()
    return [
        warning(
            f"pool {one.pool_id} holds {one.units} units of prize {one.prize_id} back",
            "draws that were lost with Redis may have won them; nobody can win them meanwhile",
            f"when that is settled: kuji release --pool {one.pool_id}; {_LOST}",
        )
        for one in units
    ] or [well("no units are held back")]


_LOST = runbook("redis-lost-or-older-than-it-should-be")


async def reveals(patient: Patient) -> list[Symptom]:
    """What has ended has revealed its seed."""
    names = [row["name"] async for row in _queries.unrevealed(patient.postgres)]
    if not names:
        return [well("what has ended has revealed its seed")]
    return [
        warning(
            f"ended over 15 minutes ago, and the seed is not revealed: {', '.join(names)}",
            "nobody can check its draws",
            "reveals wait for the last draw to be recorded, and for admin and draw: look at their "
            f"logs, and for a halted pool; {runbook('first-look')}",
        )
    ]
