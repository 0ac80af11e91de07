"""What an act plays on: a running stack, its stores and its edge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rich.progress import Progress

from demo.accounts import Player, log_in, register_players
from demo.books import wait_until_recorded
from demo.edge import Edge, open_edge
from ops.connections import Endpoints, Stores, open_database, open_redis


@dataclass(frozen=True, slots=True)
class Stage:
    """
    A running stack, and what every act does there.

    Args:
        endpoints: Where its parts are.
        stores: Its Postgres and Redis.
        edge: Its JSON face.
        bars: Show how far each phase of an act is.
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
        """Return once Postgres has the pool's newest draw, or had its time for it."""
        task = self.bars.add_task("recording", total=None, note="draws in Postgres")
        await wait_until_recorded(
            self.stores,
            pool_id,
            lambda seq, newest: self.bars.update(task, completed=seq, total=newest),
        )


@asynccontextmanager
async def open_stage(
    endpoints: Endpoints, connections: int, bars: Progress
) -> AsyncIterator[Stage]:
    """
    The stack at *endpoints*, over at most so many connections to its edge; closed on leaving.

    Raises:
        OperatorError: A store does not answer.
    """
    async with (
        open_database(endpoints.postgres) as postgres,
        open_redis(endpoints.redis) as redis,
        open_edge(endpoints.edge, connections) as edge,
    ):
        yield Stage(endpoints, Stores(postgres, redis), edge, bars)
