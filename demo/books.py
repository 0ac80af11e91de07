"""A pool's books once the last draw has come: recorded to the end, and audited."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ops.connections import Stores
from services.common.postgres import load_queries
from services.pool.books.collector import Auditor
from services.pool.books.facts import PoolFacts
from services.pool.books.findings import Finding
from services.pool.store.redis_store import RedisStore

_queries = load_queries(__file__)
_POLL_S = 0.05
_CATCH_UP_S = 60.0


class Books(NamedTuple):
    """What the books of a pool hold, and what does not add up in them and on the winner list."""

    facts: PoolFacts
    findings: Sequence[Finding]


async def read_books(stores: Stores, pool_id: int) -> Books:
    """The books of a pool that exists."""
    auditor = Auditor(stores.postgres, stores.redis)
    facts = await auditor.facts(pool_id)
    findings = await auditor.audit_pool(pool_id)
    if facts is None or findings is None:
        raise LookupError(f"pool {pool_id} is gone")
    return Books(facts, [*findings, *await auditor.audit_winner_list()])


async def wait_until_recorded(
    stores: Stores, pool_id: int, on_progress: Callable[[int, int], None]
) -> None:
    """
    Return once Postgres has the pool's newest draw, or the recorder had its time for it: what
    is missing then, the verdict says.

    Args:
        stores: Both.
        pool_id: The pool; no more draws may come.
        on_progress: Called with the newest seq recorded, and the newest drawn.
    """
    live = await RedisStore(stores.redis, max_backlog=0).inspect(pool_id)
    newest = live.seq if live else 0
    try:
        async with asyncio.timeout(_CATCH_UP_S):
            while (recorded := await _recorded_seq(stores, pool_id)) < newest:
                on_progress(recorded, newest)
                await asyncio.sleep(_POLL_S)
        on_progress(newest, newest)
    except TimeoutError:
        return


async def _recorded_seq(stores: Stores, pool_id: int) -> int:
    seq: int = await _queries.recorded_seq(stores.postgres, pool_id=pool_id)
    return seq
