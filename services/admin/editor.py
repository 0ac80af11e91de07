"""How a pool is changed: one transaction around Postgres and the live store."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

import structlog
from kuji.draw.v1 import pool_pb2

from services.admin.models import PoolMode
from services.admin.publisher import MAY_BE_APPLIED, PoolPublisher
from services.admin.store import Rows, Store
from services.common.context import RequestContext
from services.common.errors import ConflictError, KujiError, UnavailableError
from services.common.outages import is_outage, told

log = structlog.get_logger()

_POLL_S = 0.05
_SHARE_OF_PATIENCE = 0.9  # so that the answer is ours, not a deadline's

Result = TypeVar("Result")


class BehindError(ConflictError):
    """The live store does not hold *version*, which Postgres takes for the newest."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = version


class Edit:
    """
    A change in progress, with the pool's row locked.

    Args:
        rows: The transaction.
        pool_id: The pool.
        now: The moment by Postgres's clock, taken after the lock.
    """

    def __init__(
        self, rows: Rows, publisher: PoolPublisher, pool_id: int, version: int, now: datetime
    ) -> None:
        self.rows = rows
        self.pool_id = pool_id
        self.now = now
        self._publisher = publisher
        self._version = version

    async def publish(self, config: pool_pb2.PoolConfig) -> dict[int, int]:
        """
        Make *config* hold for the next draw. The last thing before the commit.

        Returns:
            Prize id → units in all, after the change.

        Raises:
            BehindError, UnitsBelowWonError: Refused; nothing changed.
            UnavailableError: It may have been applied.
        """
        version = await self.rows.next_version()
        try:
            units = await self._publisher.publish(self.pool_id, config, self._version, version)
        except ConflictError as error:
            raise BehindError(self._version) from error
        await self.rows.set_pool_version(self.pool_id, version)
        return units


class Creation:
    """
    Pools in the making, all of them or none.

    Args:
        rows: The transaction.
    """

    def __init__(self, rows: Rows, publisher: PoolPublisher) -> None:
        self.rows = rows
        self._publisher = publisher

    async def pool(self, mode: PoolMode) -> Edit:
        """A pool of its own, to be published before the commit."""
        pool_id, seed_commitment = await self._publisher.create_pool()
        await self.rows.insert_pool(pool_id, mode, seed_commitment)
        return Edit(self.rows, self._publisher, pool_id, 0, await self.rows.now())


Change = Callable[[Edit], Awaitable[Result]]


class Editor:
    """
    Runs changes, one pool's one after the other.

    A crash between publication and commit leaves the live store ahead; the recorder then brings
    Postgres up to it, and a change that comes too early waits for that, once.

    Args:
        catch_up_timeout_s: Bound of that wait.
    """

    def __init__(self, store: Store, publisher: PoolPublisher, catch_up_timeout_s: float) -> None:
        self._store = store
        self._publisher = publisher
        self._catch_up_timeout_s = catch_up_timeout_s

    async def create(
        self, ctx: RequestContext, change: Callable[[Creation], Awaitable[Result]]
    ) -> Result:
        """Run *change*, which makes pools, all or nothing."""
        async with bounded(ctx):
            return await self.make(change)

    async def make(self, change: Callable[[Creation], Awaitable[Result]]) -> Result:
        """The same; the caller bounds it."""
        async with self._store.writing() as rows:
            return await change(Creation(rows, self._publisher))

    async def edit(self, ctx: RequestContext, pool_id: int, change: Change[Result]) -> Result:
        """
        Run *change* on a pool, all or nothing.

        Raises:
            ConflictError: The live store is ahead, and stayed so.
            UnavailableError: The change may have been applied.
        """
        async with bounded(ctx):
            try:
                return await self._attempt(pool_id, change)
            except BehindError as error:
                if not await self._catches_up(pool_id, error.version):
                    raise
            return await self._attempt(pool_id, change)

    async def _attempt(self, pool_id: int, change: Change[Result]) -> Result:
        async with self._store.writing() as rows:
            version = await rows.lock_pool(pool_id)
            return await change(Edit(rows, self._publisher, pool_id, version, await rows.now()))

    async def _catches_up(self, pool_id: int, stale_version: int) -> bool:
        for _ in range(math.ceil(self._catch_up_timeout_s / _POLL_S)):
            if await self._store.pool_version(pool_id) != stale_version:
                return True
            await asyncio.sleep(_POLL_S)
        return False


@asynccontextmanager
async def bounded(ctx: RequestContext, if_lost: str = MAY_BE_APPLIED) -> AsyncIterator[None]:
    """
    Bound by the caller's patience.

    A connection or a commit that is lost leaves the outcome unknown: *if_lost* says so.
    """
    try:
        async with asyncio.timeout(ctx.remaining_s * _SHARE_OF_PATIENCE):
            yield
    except Exception as error:
        if isinstance(error, KujiError) or not is_outage(error):
            raise
        log.warning("lost in an edit", error=told(error))
        raise UnavailableError(if_lost) from error
