"""The recorder's loop: holds pools, reads their ledgers, writes them down."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Never

import asyncpg
import structlog
from redis.asyncio import Redis

from services.common.outages import is_outage
from services.common.postgres import load_queries
from services.common.tasks import Trouble, end_if_cancelled, pause, stray_cancellation
from services.common.traces.local import Value
from services.common.traces.switch import traced_work
from services.pool.ledger.entries import DrawEntry, Entry
from services.recorder import metrics
from services.recorder.held import HeldPool
from services.recorder.lag import LagGauges
from services.recorder.locks import PoolLocks, open_locks
from services.recorder.outlet import Outlet
from services.recorder.reader import LedgerReader
from services.recorder.recording import PoolHaltedError, Recorded, record
from services.recorder.resting import RestingPools
from services.recorder.settings import RecorderSettings

log = structlog.get_logger()
_queries = load_queries(__file__)
_LOOK_AT_MOST_EVERY_S = 0.05
_Start = Callable[[Sequence[HeldPool]], None]
_TABLES_WITH_CODES = frozenset({"winners", "order_items"})


class Recorder:
    """
    Carries ledgers into Postgres until it is told to stop.

    Args:
        postgres: For the writing; its size bounds the pools written at the same time.
        redis: A client that does not decode responses.
        settings: See RecorderSettings.
    """

    def __init__(self, postgres: asyncpg.Pool, redis: Redis, settings: RecorderSettings) -> None:
        self._postgres = postgres
        self._settings = settings
        self._reader = LedgerReader(redis, settings)
        self._outlet = Outlet(redis, settings.ledger_keep_draws)
        self._lag = LagGauges(redis)
        self._stop = asyncio.Event()
        self._active = asyncio.Event()
        self._news = asyncio.Event()
        self._holding = Trouble("hold_pools")
        self._writing = Trouble("record")

    def stop(self) -> None:
        """Let run() finish the batches in hand, and return."""
        self._stop.set()
        self._active.set()

    async def run(self) -> None:
        """Record until stop(), whatever happens meanwhile; nothing is lost by it."""
        while not self._stop.is_set():
            pause_s = await self._holding.survived(self._session())
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()

    async def _session(self) -> None:
        """Hold locks and record until stop(), or until a part fails."""
        held: dict[int, HeldPool] = {}
        settings = self._settings
        locking = open_locks(settings.postgres_dsn, settings.postgres_timeout_s, self._news.set)
        # Writers outlive whoever starts them: a group that is being given up takes no more tasks.
        async with locking as locks, asyncio.TaskGroup() as writers, asyncio.TaskGroup() as tasks:
            start = partial(self._start_writing, writers)
            resting = RestingPools(self._reader, settings.rest_block_ms, start)
            beside = [
                tasks.create_task(self._keep_holding(held, locks)),
                tasks.create_task(resting.watch()),
                tasks.create_task(self._lag.run(held)),
            ]
            await self._record_active(held, resting, start)
            for task in beside:
                task.cancel()

    async def _record_active(
        self, held: Mapping[int, HeldPool], resting: RestingPools, start: _Start
    ) -> None:
        while not self._stop.is_set():
            end_if_cancelled()
            self._active.clear()
            active = [pool for pool in held.values() if not (pool.is_resting or pool.is_lost)]
            if not active:
                await self._active.wait()
                continue
            fresh = await self._reader.read(active, self._settings.block_ms)
            start(fresh)
            rest_at = time.monotonic() - self._settings.rest_after_s
            for pool in active:
                if pool.read_at < rest_at and pool.may_rest:
                    resting.lay(pool)
            if fresh and may_pause(active, self._settings.batch_draws):
                await asyncio.sleep(self._settings.gather_s)
        for pool in held.values():
            pool.forget_waiting()

    def _start_writing(self, writers: asyncio.TaskGroup, fresh: Sequence[HeldPool]) -> None:
        self._active.set()
        for pool in fresh:
            if not pool.is_writing:
                pool.is_writing = True
                writers.create_task(self._write_down(pool))

    async def _keep_holding(self, held: dict[int, HeldPool], locks: PoolLocks) -> Never:
        """Take and give back pools, when told to and now and then."""
        while True:
            self._news.clear()
            await self._refresh(held, locks)
            self._holding.over()
            await pause(_LOOK_AT_MOST_EVERY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.refresh_s):
                    await self._news.wait()

    async def _refresh(self, held: dict[int, HeldPool], locks: PoolLocks) -> None:
        now = time.monotonic()
        lost = [
            pool.pool_id
            for pool in held.values()
            if pool.is_lost and not pool.is_writing and pool.kept_until <= now
        ]
        if lost:
            await locks.give_back(lost)
        for pool_id in lost:
            del held[pool_id]
        taken = await locks.take(held)
        await self._pass_lost_ids(await self._outlet.announce(taken))
        held.update({pool.pool_id: pool for pool in taken})
        self._active.set()
        metrics.HELD_POOLS.set(len(held))
        # A halt, and its end, are told like a new pool.
        metrics.HALTED_POOLS.set(await _queries.count_halted_pools(self._postgres))

    async def _pass_lost_ids(self, told: Mapping[int, int]) -> None:
        """Where Postgres is behind what it was *told* to hold, it was put back: ids as well."""
        if told and await _queries.pass_lost_ids(
            self._postgres, ids=list(told), seqs=list(told.values())
        ):
            log.warning("Postgres was put back: recording again", pools=len(told))

    async def _write_down(self, pool: HeldPool) -> None:
        try:
            while pool.waiting:
                await self._record_batch(pool)
        except PoolHaltedError:
            pool.is_lost = True
        except asyncio.CancelledError:
            await self._give_up(pool, stray_cancellation())
        except Exception as error:  # noqa: BLE001  # no failure of one pool may stop the others
            await self._give_up(pool, error)
        finally:
            pool.oldest_ms = 0
            pool.is_writing = False
            if pool.is_lost:
                wait_s = max(0.0, pool.kept_until - time.monotonic())
                asyncio.get_running_loop().call_later(wait_s, self._news.set)

    async def _record_batch(self, pool: HeldPool) -> None:
        entries = pool.take(self._settings.batch_draws)
        with traced_work("record", {"kuji.pool_id": pool.pool_id}) as trace:
            async with self._postgres.acquire() as connection:
                recorded = await record(connection, pool.pool_id, entries, pool.configs, pool.box)
            if trace is not None:
                trace.attributes |= _said(entries, recorded)
            await self._published(pool, recorded)

    async def _published(self, pool: HeldPool, recorded: Recorded) -> None:
        self._writing.over()
        newest = pool.configs.get(recorded.position.version)
        pool.is_lost = newest is not None and newest.is_ended and not pool.waiting
        pool.forget_old_configs()
        metrics.DRAWS.inc(recorded.draws)
        metrics.BATCH_DRAWS.observe(recorded.draws)
        if recorded.oldest_ms:
            metrics.DELAY_S.observe(max(0.0, time.time() - recorded.oldest_ms / 1000))
        await self._outlet.publish(pool, recorded)

    async def _give_up(self, pool: HeldPool, error: Exception) -> None:
        """Give the pool back, after a while; halt it where the failure would only come again."""
        pool.is_lost = True
        pool.forget_waiting()
        if not is_outage(error):
            try:
                await self._halt(pool, error)
            except Exception as failure:  # noqa: BLE001  # then it halts the next time
                error = failure
            else:
                return
        pool.kept_until = time.monotonic() + self._writing.met(error)

    async def _halt(self, pool: HeldPool, error: Exception) -> None:
        _hide_codes(error)
        log.error("pool halts", pool_id=pool.pool_id, exc_info=error)
        await _queries.halt_pool(self._postgres, pool_id=pool.pool_id, reason=_sentence(error))


def may_pause(pools: Sequence[HeldPool], batch_draws: int) -> bool:
    """
    Whether to let further entries come before the next read of *pools*: what has come would make
    small batches, nobody waits for the next ones, and none are there already.
    """
    return not any(
        pool.has_more or pool.is_urgent or pool.waiting_draws >= batch_draws for pool in pools
    )


def _said(entries: Sequence[Entry], recorded: Recorded) -> dict[str, Value]:
    """By which the traces of the draws are found: those of the pool, from first to last."""
    firsts = [entry.first_seq for entry in entries if isinstance(entry, DrawEntry)]
    return {
        "kuji.first_seq": firsts[0] if firsts else recorded.position.seq,
        "kuji.last_seq": recorded.position.seq,
        "kuji.draws": recorded.draws,
    }


def _hide_codes(error: Exception) -> None:
    """Postgres quotes the row that does not fit: prize codes belong neither in logs nor reasons."""
    if isinstance(error, asyncpg.PostgresError) and error.table_name in _TABLES_WITH_CODES:
        error.detail = None


def _sentence(error: Exception) -> str:
    detail = getattr(error, "detail", None)
    parts: Sequence[str] = [type(error).__name__, str(error), *([str(detail)] if detail else [])]
    return ": ".join(parts)[:1000]
