"""
What a draw process knows of each pool apart from the store, and the store's runs.

In a folder that all draw processes share, an answered change is written before its answer leaves:
a store that was started anew is then believed or refused for certain. Without one (processes on
several machines), Postgres knows all but the last fraction of a second; so that no id is given
twice, the draws of a new run of the store come after all ids that were reserved.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Never, Protocol

import structlog
from prometheus_client import Gauge

from services.common.errors import PoolNotLoadedError
from services.common.tasks import repeat
from services.pool.marks.files import MarkFolder
from services.pool.marks.mark import Mark, MarkBounds
from services.pool.marks.records import ROOM, MarkRecord, MarkRecords
from services.pool.marks.writer import MarkWriter
from services.pool.store.witness import StorePositions

log = structlog.get_logger()
BEHIND = Gauge("kuji_draw_pools_behind", "Pools that the store has not as new as was answered")
_NOTHING = Mark()


@dataclass(slots=True)
class _Pool:
    """A pool as it is known; *run_id*: the store's run in which its bounds hold."""

    bounds: MarkBounds
    run_id: str


class MarkKeeper:
    """
    Keeps marks; see services/pool/store/witness.py for what a store needs of it.

    Args:
        records: Marks in Postgres.
        folder: Of the files; None: there is none.
        settle_s: How long to let others tell their marks, before a new run of the store is judged
            by what is in Postgres: more than the time between two rounds of tell().
    """

    def __init__(self, records: MarkRecords, folder: MarkFolder | None, settle_s: float) -> None:
        self._records = records
        self._folder = folder
        self._settle_s = settle_s
        self._witness = folder.folder_id if folder else ""
        self._writer = MarkWriter(folder.claim()) if folder else None
        self._written: dict[int, Mark] = {}
        self._run_id = ""
        self._checked_run_id = ""
        self._pools: dict[int, _Pool] = {}
        self._opening: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._untold: set[int] = set()
        self._is_to_tell = asyncio.Event()
        self._behind: set[int] = set()

    # ------------------------------------------------------------ what a store needs

    def enter(self, run_id: str) -> None:
        """See Witness."""
        if self._folder is not None:
            self._written = self._folder.read()
            self._untold |= self._written.keys()
            self._is_to_tell.set()
        self._run_id = run_id

    def known(self, pool_id: int) -> MarkBounds | None:
        """See Witness."""
        pool = self._pools.get(pool_id)
        return pool.bounds if pool is not None and pool.run_id == self._run_id else None

    async def open(self, pool_id: int, store: StorePositions) -> MarkBounds:
        """See Witness."""
        async with self._opening[pool_id]:
            return self.known(pool_id) or await self._open(pool_id, store)

    async def open_all(self, pool_ids: Sequence[int], store: StorePositions) -> None:
        """See Witness."""
        run_id = self._run_id
        unknown = [pool_id for pool_id in pool_ids if self.known(pool_id) is None]
        if not unknown:
            return
        for pool_id, record in (await self._records.read_all(unknown)).items():
            is_plain = record.has_room and not record.base_seq
            if is_plain and record.run_id == run_id and self.known(pool_id) is None:
                mark = record.mark.raised(self._seen(pool_id))
                self._pools[pool_id] = _Pool(MarkBounds(mark, record.last_seq), run_id)
        for pool_id in unknown:
            await self.open(pool_id, store)

    async def reserve(self, pool_id: int, after_seq: int) -> None:
        """See Witness."""
        last_seq = await self._records.reserve(pool_id, after_seq)
        pool = self._pools[pool_id]
        pool.bounds = pool.bounds._replace(last_seq=max(last_seq, pool.bounds.last_seq))

    def note(self, pool_id: int, mark: Mark) -> None:
        """See Witness."""
        pool = self._pools[pool_id]
        if pool.bounds.mark.covers(mark):
            return
        raised = pool.bounds.mark.raised(mark)
        pool.bounds = pool.bounds._replace(mark=raised)
        self._untold.add(pool_id)
        self._is_to_tell.set()
        if self._writer is not None:
            self._writer.add(pool_id, raised)

    def sealed(self, pool_id: int) -> asyncio.Future[None] | None:
        """See Witness."""
        return self._writer.written(pool_id) if self._writer is not None else None

    def missed(self, pool_id: int) -> None:
        """See Witness."""
        self._behind.add(pool_id)

    async def check(self, store: StorePositions) -> None:
        """See Witness."""
        run_id = self._run_id
        marks = await self._marks_to_check(run_id)
        positions = await store.positions(list(marks)) if marks else {}
        behind = {
            pool_id
            for pool_id, mark in marks.items()
            if not positions.get(pool_id, _NOTHING).covers(mark)
        }
        self._show(behind)
        self._checked_run_id = run_id
        if behind:
            raise PoolNotLoadedError

    # ------------------------------------------------------------ a new run

    async def _open(self, pool_id: int, store: StorePositions) -> MarkBounds:
        run_id = self._run_id
        record = await self._records.read(pool_id, run_id, self._witness)
        if record.run_id != run_id:
            record = await self._judge(pool_id, run_id, store, record)
        mark, last_seq = record.mark.raised(self._seen(pool_id)), record.last_seq
        if record.base_seq:
            # Again: whoever began this run may not have come to it.
            await store.skip_to(pool_id, record.base_seq, mark)
            mark = mark.raised(Mark(record.base_seq))
        if last_seq - mark.seq <= ROOM // 2:
            last_seq = await self._records.reserve(pool_id, mark.seq)
        mark = mark.raised(self._seen(pool_id))  # what was answered meanwhile
        self._pools[pool_id] = _Pool(MarkBounds(mark, last_seq), run_id)
        return self._pools[pool_id].bounds

    def _seen(self, pool_id: int) -> Mark:
        """What this process knows by itself, and what is in the files."""
        pool = self._pools.get(pool_id)
        own = pool.bounds.mark if pool is not None else _NOTHING
        return own.raised(self._written.get(pool_id, _NOTHING))

    async def _judge(
        self, pool_id: int, run_id: str, store: StorePositions, record: MarkRecord
    ) -> MarkRecord:
        """The pool's row, once it is said whether the present run is believed."""
        if not record.is_known_to(self._witness):
            await asyncio.sleep(self._settle_s)
        position = (await store.positions([pool_id])).get(pool_id)
        if position is None or not position.covers(self._seen(pool_id)):
            return record
        return await self._records.begin_run(pool_id, run_id, self._witness, position)

    async def _marks_to_check(self, run_id: str) -> dict[int, Mark]:
        """In a new run, of all pools that may draw; else of those that the store was behind."""
        if self._checked_run_id == run_id and not self._behind:
            return {}
        marks = await self._records.live()
        if self._checked_run_id == run_id:
            marks = {pool_id: marks[pool_id] for pool_id in self._behind & marks.keys()}
        return {pool_id: mark.raised(self._seen(pool_id)) for pool_id, mark in marks.items()}

    def _show(self, behind: set[int]) -> None:
        if fresh := behind - self._behind:
            log.error("the store is older than what was answered", pool_ids=sorted(fresh)[:20])
        if self._behind and not behind:
            log.warning("the store is as new as what was answered")
        self._behind = behind
        BEHIND.set(len(behind))

    # ------------------------------------------------------------ Postgres

    async def untold(self) -> None:
        """Return once Postgres does not have something yet."""
        await self._is_to_tell.wait()

    async def tell(self) -> None:
        """Write to Postgres what it does not have yet; to be called when untold() returned."""
        self._is_to_tell.clear()
        telling, self._untold = self._untold, set()
        if not telling:
            return
        try:
            bounds = {pool_id: self._told(pool_id) for pool_id in telling}
            await self._records.raise_to(bounds, self._run_id, self._witness)
            for pool_id, (mark, last_seq) in bounds.items():
                if pool_id in self._pools and last_seq - mark.seq <= ROOM // 2:
                    await self.reserve(pool_id, mark.seq)
        except BaseException:
            self._untold |= telling
            self._is_to_tell.set()
            raise

    def _told(self, pool_id: int) -> MarkBounds:
        pool = self._pools.get(pool_id)
        return MarkBounds(self._seen(pool_id), pool.bounds.last_seq if pool is not None else 0)

    async def close(self) -> None:
        """Write what was noted."""
        if self._writer is not None:
            await self._writer.close()


class MarkedStore(Protocol):
    """A store that has a witness."""

    async def get_ready(self, pool_ids: Sequence[int]) -> None:
        """Know what its present run needs of Postgres, to draw from these pools."""

    async def check(self) -> None:
        """PoolNotLoadedError where its present run is older than what was answered, in any pool."""


async def tell_while_running(keeper: MarkKeeper, every_s: float) -> Never:
    """Keep telling Postgres until cancelled."""
    await repeat("marks", keeper.tell, every_s, due=keeper.untold)


async def look_while_running(
    store: MarkedStore, pool_ids: Callable[[], Sequence[int]], every_s: float
) -> Never:
    """
    Keep the store ready, and looked at for logs and metrics, until cancelled.

    Args:
        pool_ids: The pools that may be drawn from.
    """

    async def look() -> None:
        await store.get_ready(pool_ids())
        with suppress(PoolNotLoadedError):  # the witness has told
            await store.check()

    await repeat("store_run", look, every_s)
