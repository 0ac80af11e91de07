"""A keeper of marks tells Postgres what it does not have, and is quiet while there is nothing."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from services.pool.marks.keeper import MarkKeeper
from services.pool.marks.mark import Mark, MarkBounds
from services.pool.marks.records import ROOM, MarkRecord


class Records:
    """Marks in memory; *fails*: it is away."""

    def __init__(self) -> None:
        self.told: dict[int, Mark] = {}
        self.fails = False

    async def read(self, pool_id: int, run_id: str, witness: str) -> MarkRecord:
        """See MarkRecords."""
        del pool_id
        return MarkRecord(0, 0, 2 * ROOM, 0, run_id, witness)

    async def raise_to(self, bounds: Mapping[int, MarkBounds], *_: str) -> None:
        """See MarkRecords."""
        if self.fails:
            raise ConnectionError("away")
        self.told |= {pool_id: bound.mark for pool_id, bound in bounds.items()}


async def test_keeper_is_due_while_postgres_lacks_something() -> None:
    """From a change on until it is told, however often that fails; then no more."""
    records: Any = Records()
    nothing: Any = None
    keeper = MarkKeeper(records, None, settle_s=0)
    keeper.enter("run")
    await keeper.open(7, nothing)
    due = asyncio.ensure_future(keeper.untold())
    await asyncio.sleep(0)
    assert not due.done()
    keeper.note(7, Mark(3, 1000))
    await asyncio.wait_for(due, 30)
    records.fails = True
    with pytest.raises(ConnectionError):
        await keeper.tell()
    await asyncio.wait_for(keeper.untold(), 30)
    records.fails = False
    await keeper.tell()
    assert {7: Mark(3, 1000)} == records.told
    quiet = asyncio.ensure_future(keeper.untold())
    await asyncio.sleep(0)
    assert not quiet.done()
    quiet.cancel()
