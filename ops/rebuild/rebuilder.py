"""
One pool back into Redis, from Postgres.

First a gap is noted, then the pool is loaded. Until the last step it has no configuration in
Redis, so that draws are refused, not wrong; and the last step is one transaction of Redis.
A rebuild that dies on the way leaves the pool as lost as it was, and the next one repeats it.
"""

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import asyncpg
from redis.asyncio import Redis

from ops.rebuild import facts, holds
from ops.rebuild.facts import RecordedPosition
from ops.rebuild.publication import now_ms, publish
from ops.rebuild.wanted import wanted
from services.admin.for_operators import KUJI, AuditRecord, Rows
from services.common.postgres import Connection
from services.pool.marks.mark import Mark
from services.pool.rule.terms import ConfigureCode
from services.pool.store.keys import ALL, REQUESTS, STATE, USERS, key, ledger_key
from services.pool.store.redis_store import RedisStore
from services.pool.store.runs import run_id_of

# Draws that can have been answered and not recorded when Redis was lost: the service's bound on
# the backlog, and one batch. The next seq lies past them, so that no draw id is used twice.
GAP_DRAWS = 2_001_000
OnProgress = Callable[[int], None]


class Outcome(StrEnum):
    """What became of a pool."""

    HEALTHY = "healthy"
    REBUILT = "rebuilt"


class RebuildError(Exception):
    """The pool could not be brought back."""


class Rebuilder:
    """
    Brings pools back; those that Redis has, at least as far as Postgres, it leaves alone.

    Args:
        is_holding: Whether to hold back the units that lost draws may have won.
        settle_s: How long to let draw processes tell what they answered, where a pool is lost.

    Attributes:
        lost: Pool id → draws that had been answered and went down with Redis, where there are any.
        held: Pool id → prize id → units held back in it since this rebuild or one before it, where
            there are any.
    """

    def __init__(
        self,
        postgres: asyncpg.Pool,
        redis: Redis,
        is_holding: bool = True,
        settle_s: float = 0.0,
    ) -> None:
        self._postgres = postgres
        self._redis = redis
        self._is_holding = is_holding
        self._settle_s = settle_s
        self._store = RedisStore(redis, max_backlog=GAP_DRAWS)
        self.lost: dict[int, int] = {}
        self.held: dict[int, holds.Held] = {}

    async def pool_ids(self) -> list[int]:
        """Every pool."""
        async with self._postgres.acquire() as connection:
            return await facts.pool_ids(connection)

    async def rebuild(self, pool_id: int, on_progress: OnProgress) -> Outcome:
        """
        Bring a pool back if it is lost or behind.

        Args:
            on_progress: Called with the number of users and request ids loaded since the last call.

        Raises:
            RebuildError: Redis has draws that are not recorded yet, or refuses what Postgres has.
        """
        async with self._postgres.acquire() as connection:
            await self._settle(connection, pool_id)
            if not await self._note_gap(connection, pool_id):
                return Outcome.HEALTHY
            return await self._restore(connection, pool_id, on_progress)

    async def _settle(self, connection: Connection, pool_id: int) -> None:
        """Once, before the first lost pool, and without a lock on it."""
        if not self._settle_s:
            return
        async with connection.transaction():
            recorded = await facts.lock(connection, pool_id)
        if not await self._is_healthy(pool_id, recorded):
            settle_s, self._settle_s = self._settle_s, 0.0
            await asyncio.sleep(settle_s)

    async def _note_gap(self, connection: Connection, pool_id: int) -> bool:
        """Whether the pool is lost; then the gap is committed before anything can be drawn."""
        async with connection.transaction():
            recorded = await facts.lock(connection, pool_id)
            if await self._is_healthy(pool_id, recorded):
                return False
            await self._check_nothing_is_lost(pool_id, recorded)
            if lost := await facts.lost_draws(connection, pool_id, recorded):
                self.lost[pool_id] = lost
                await self._hold(connection, pool_id, recorded, lost)
            last_seq = max(recorded.seq + GAP_DRAWS, recorded.reserved_seq)
            run_id = await run_id_of(self._redis)
            await facts.note_gap(connection, pool_id, recorded.seq + 1, last_seq, run_id)
        return True

    async def _hold(
        self, connection: Connection, pool_id: int, recorded: RecordedPosition, lost: int
    ) -> None:
        if not self._is_holding:
            return
        if await holds.may_have_told_wins(connection, pool_id, recorded):
            held = await holds.hold(connection, pool_id, lost)
            detail = {"lost_draws": lost, "held_units": held}
            await Rows(connection).add_audit(
                AuditRecord(KUJI, "pool.hold", f"pool:{pool_id}", detail)
            )

    async def _restore(
        self, connection: Connection, pool_id: int, on_progress: OnProgress
    ) -> Outcome:
        async with connection.transaction():
            recorded = await facts.lock(connection, pool_id)
            if await self._is_healthy(pool_id, recorded):  # another rebuild was faster
                return Outcome.HEALTHY
            # All at once: without its state, nothing is drawn from a pool and nothing published.
            await self._redis.unlink(*[key(pool_id, name) for name in ALL])
            await self._load(connection, pool_id, on_progress)
            await self._open(connection, pool_id, recorded)
        return Outcome.REBUILT

    async def _is_healthy(self, pool_id: int, recorded: RecordedPosition) -> bool:
        if not await self._redis.exists(key(pool_id, STATE)):
            return False
        live = await self._store.inspect(pool_id)
        return (
            live is not None
            and live.seq >= recorded.seq
            and live.version >= recorded.version
            and Mark(live.seq, live.clock_us).covers(recorded.mark)
        )

    async def _check_nothing_is_lost(self, pool_id: int, recorded: RecordedPosition) -> None:
        newest: Any = await self._redis.xrevrange(ledger_key(pool_id), count=1)
        seq = int(newest[0][0].partition(b"-")[0]) if newest else 0
        if seq > recorded.seq:
            raise RebuildError(
                f"Pool {pool_id}: Redis has the draws {recorded.seq + 1} to {seq}, which are not "
                "recorded yet; let the recorder finish first"
            )

    async def _load(self, connection: Connection, pool_id: int, on_progress: OnProgress) -> None:
        async for users in facts.packed_users(connection, pool_id):
            await self._hset(pool_id, USERS, dict(users))
            on_progress(len(users))
        moment = await now_ms(self._redis)
        for read in (facts.packed_voids, facts.packed_requests):
            async for requests in read(connection, pool_id, moment):
                for half, name in enumerate(REQUESTS):
                    fields = {digest: drew for day, digest, drew in requests if day % 2 == half}
                    await self._hset(pool_id, name, fields)
                on_progress(len(requests))
        blocked = await facts.active_blocks(connection)
        await self._store.blocks.put_back(*blocked, await run_id_of(self._redis))

    async def _open(self, connection: Connection, pool_id: int, recorded: RecordedPosition) -> None:
        """Set what remains, and publish what the operator wants, as a configuration of its own."""
        standing = await facts.standing(connection, pool_id)
        message = await wanted(connection, pool_id, recorded, standing)
        held = await holds.held_in(connection, pool_id)
        message.cause = f"rebuild:{recorded.seq}" if holds.holding(message, held) else ""
        version = await Rows(connection).next_version()
        code = await publish(self._redis, pool_id, recorded, standing, version, message)
        if code is not ConfigureCode.CONFIGURED:
            await self._redis.unlink(*[key(pool_id, name) for name in ALL])
            raise RebuildError(f"Pool {pool_id}: {code.name.lower()}")
        await Rows(connection).set_pool_version(pool_id, version)
        if held:
            self.held[pool_id] = held

    async def _hset(self, pool_id: int, name: str, fields: Mapping[Any, Any]) -> None:
        if fields:
            await self._redis.hset(key(pool_id, name), mapping=dict(fields))
