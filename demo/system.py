"""The system under test: a running stack's edge, its stores, and its books."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from rich.progress import Progress

from demo.client import Edge, Player, log_in, open_edge, register_players
from ops.connections import Endpoints, Stores, open_database, open_redis
from services.common.postgres import load_queries
from services.pool.books.collector import Auditor
from services.pool.books.facts import PoolFacts
from services.pool.books.findings import Finding
from services.pool.store.redis_store import RedisStore

queries = load_queries(__file__)
_POLL_S = 0.05
_CATCH_UP_S = 60.0


class Books(NamedTuple):
    """What the books of a pool hold, and what does not add up in them and on the winner list."""

    facts: PoolFacts
    findings: Sequence[Finding]

    def left(self) -> dict[int, int]:
        """Prize id → units left, in Redis."""
        live = self.facts.live
        return {stock.prize_id: stock.left for stock in live.stocks} if live else {}


@dataclass(frozen=True, slots=True)
class System:
    """
    A running stack.

    Args:
        endpoints: Where its parts are.
        stores: Its Postgres and Redis.
        edge: Its JSON face.
        bars: Show how far the demo is.
    """

    endpoints: Endpoints
    stores: Stores
    edge: Edge
    bars: Progress

    async def log_in(self) -> str:
        """A fresh access token of the administrator."""
        return await log_in(self.edge, self.endpoints.admin)

    async def register(self, users: int, prefix: str) -> list[Player]:
        """New users."""
        task = self.bars.add_task("registering", total=users, note="users")
        return await register_players(self.edge, users, prefix, lambda: self.bars.advance(task))

    async def wait_until_recorded(self, pool_id: int) -> None:
        """
        Return once Postgres has the pool's newest draw, or the recorder had its time for it: what
        is missing then, the verdict says. No more draws may come.
        """
        live = await RedisStore(self.stores.redis, max_backlog=0).inspect(pool_id)
        newest = live.seq if live else 0
        task = self.bars.add_task("recording", total=newest, note="draws in Postgres")
        try:
            async with asyncio.timeout(_CATCH_UP_S):
                while (recorded := await self._recorded_seq(pool_id)) < newest:
                    self.bars.update(task, completed=recorded)
                    await asyncio.sleep(_POLL_S)
            self.bars.update(task, completed=newest)
        except TimeoutError:
            return

    async def _recorded_seq(self, pool_id: int) -> int:
        seq: int = await queries.recorded_seq(self.stores.postgres, pool_id=pool_id)
        return seq

    async def books(self, pool_id: int) -> Books:
        """The books of a pool that exists."""
        auditor = Auditor(self.stores.postgres, self.stores.redis)
        facts = await auditor.facts(pool_id)
        findings = await auditor.audit_pool(pool_id)
        if facts is None or findings is None:
            raise LookupError(f"pool {pool_id} is gone")
        return Books(facts, [*findings, *await auditor.audit_winner_list()])


@asynccontextmanager
async def open_system(
    endpoints: Endpoints, connections: int, bars: Progress
) -> AsyncIterator[System]:
    """
    The stack at *endpoints*, over at most so many connections to its edge; closed on leaving.

    Raises:
        OperatorError: A store does not answer.
    """
    async with (
        open_database(endpoints.postgres) as postgres,
        open_redis(endpoints.redis) as redis,
        open_edge(endpoints.edge, connections, endpoints.trusted) as edge,
    ):
        yield System(endpoints, Stores(postgres, redis), edge, bars)
