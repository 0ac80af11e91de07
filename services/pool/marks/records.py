"""Marks in Postgres, and the draw ids that are reserved there."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
import structlog

from services.common.postgres import Connection, load_queries
from services.pool.marks.mark import Mark, MarkBounds

log = structlog.get_logger()
_queries: Any = load_queries(__file__)

# Draw ids reserved at once. Further ones are when half are used, so that at least as many are left
# as draws may wait for the recorder: while Postgres is away, that bound is the one that is met.
ROOM = 4_000_000
# Draw ids left for one call of the store, which looks at the bound before it begins.
_ONE_CALL = 10_000


class MarkRecord(NamedTuple):
    """
    A pool's row.

    Args:
        seq, clock_us: Its mark, by what was told and what is recorded.
        reserved_seq: No draw has an id above it.
        base_seq: Draws come after it since the store's run in which others were last given up.
        run_id: The store's run that was believed last.
        witness: Which folder of files covers every answered change; "": none does.
    """

    seq: int
    clock_us: int
    reserved_seq: int
    base_seq: int
    run_id: str
    witness: str

    @property
    def mark(self) -> Mark:
        """Behind it, a store is older."""
        return Mark(self.seq, self.clock_us)

    def is_known_to(self, witness: str) -> bool:
        """Whether the files of *witness* know every change that was answered."""
        return bool(witness) and self.witness == witness

    @property
    def has_room(self) -> bool:
        """Whether no further draw ids have to be reserved yet."""
        return self.last_seq - self.seq > ROOM // 2

    @property
    def last_seq(self) -> int:
        """Past it no call of the store begins."""
        return self.reserved_seq - _ONE_CALL


class MarkRecords:
    """Marks in Postgres."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres

    async def read(self, pool_id: int, run_id: str, witness: str) -> MarkRecord:
        """A pool's row, made where there is none."""
        async with self._postgres.acquire() as connection:
            row = await _queries.mark(connection, pool_id=pool_id)
            if row is None:
                await _queries.insert_mark(
                    connection, pool_id=pool_id, run_id=run_id, witness=witness, room=ROOM
                )
                row = await _queries.mark(connection, pool_id=pool_id)
            return MarkRecord(*row)

    async def read_all(self, pool_ids: Sequence[int]) -> dict[int, MarkRecord]:
        """The rows of those of *pool_ids* that have one."""
        rows = _queries.marks(self._postgres, pool_ids=pool_ids)
        return {row["pool_id"]: MarkRecord(*tuple(row)[1:]) async for row in rows}

    async def live(self) -> dict[int, Mark]:
        """The marks of all pools that may still draw."""
        rows = _queries.live_marks(self._postgres)
        return {pool_id: Mark(seq, clock_us) async for pool_id, seq, clock_us in rows}

    async def raise_to(self, bounds: Mapping[int, MarkBounds], run_id: str, witness: str) -> None:
        """Raise marks, by pool id."""
        await _queries.raise_marks(
            self._postgres,
            pool_ids=list(bounds),
            seqs=[one.mark.seq for one in bounds.values()],
            clocks_us=[one.mark.clock_us for one in bounds.values()],
            reserved_seqs=[max(one.last_seq + _ONE_CALL, one.mark.seq) for one in bounds.values()],
            run_id=run_id,
            witness=witness,
        )

    async def reserve(self, pool_id: int, after_seq: int) -> int:
        """Reserve further draw ids; past which one no call of the store begins."""
        seq = after_seq + ROOM
        reserved_seq: int = await _queries.reserve(self._postgres, pool_id=pool_id, seq=seq)
        return reserved_seq - _ONE_CALL

    async def begin_run(self, pool_id: int, run_id: str, witness: str, store: Mark) -> MarkRecord:
        """
        Believe a run of the store.

        Where no files tell for certain, changes may be missing that were answered just before: its
        draws come after all ids that were reserved, so none is given twice.

        Args:
            store: Where the store is; not behind the files of *witness*.

        Returns:
            The row then; as it was where the store is behind it, or somebody was faster.
        """
        async with self._postgres.acquire() as connection, connection.transaction():
            known = MarkRecord(*await _queries.lock_mark(connection, pool_id=pool_id))
            if known.run_id == run_id or not store.covers(known.mark):
                return known
            begun = known._replace(run_id=run_id)
            if not known.is_known_to(witness):
                begun = await _give_up_ids(connection, pool_id, store, begun)
                begun = begun._replace(witness=witness)
            await _queries.begin_run(
                connection,
                pool_id=pool_id,
                run_id=run_id,
                witness=begun.witness,
                base_seq=begun.base_seq,
                reserved_seq=begun.reserved_seq,
            )
            return begun


async def _give_up_ids(
    connection: Connection, pool_id: int, store: Mark, known: MarkRecord
) -> MarkRecord:
    first_seq, last_seq = max(store.seq, known.base_seq) + 1, known.reserved_seq
    if first_seq <= last_seq:
        await _queries.note_unused(
            connection, pool_id=pool_id, first_seq=first_seq, last_seq=last_seq
        )
    log.warning("a new run of the store", pool_id=pool_id, after_seq=last_seq)
    return known._replace(base_seq=last_seq, reserved_seq=last_seq + ROOM)
