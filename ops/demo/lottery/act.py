"""One demo on a running stack: played, then judged."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rich.progress import Progress

from ops.connections import Endpoints, Stores, open_database, open_redis
from ops.demo.campaign import Campaign, log_in, open_campaign
from ops.demo.doors import Ack, open_doors
from ops.demo.edge import Edge, open_edge
from ops.demo.evidence import Evidence, collect_evidence, wait_until_recorded
from ops.demo.plan import Plan
from ops.demo.players import Game, Player, play, register_players
from ops.demo.verdict import Check, judge


@dataclass(frozen=True, slots=True)
class Played:
    """A campaign that was played to its end; *seconds*: how long the draws took."""

    campaign: Campaign
    players: Sequence[Player]
    game: Game
    seconds: float


class Demo:
    """
    Plays a plan and judges it.

    Args:
        plan: What to play.
        endpoints: The stack's.
        stores: The stack's.
        edge: The stack's.
        bars: Show how far each phase is.
    """

    def __init__(
        self, plan: Plan, endpoints: Endpoints, stores: Stores, edge: Edge, bars: Progress
    ) -> None:
        self._plan = plan
        self._endpoints = endpoints
        self.stores = stores
        self._edge = edge
        self._bars = bars

    async def play(self, on_draw: Callable[[Ack], None] = lambda _: None) -> Played:
        """Open a campaign, register users and let them draw; *on_draw* gets each draw's answer."""
        name = f"demo-{secrets.token_hex(3)}"
        token = await log_in(self._edge, self._endpoints.admin)
        campaign = await open_campaign(self._edge, token, self._plan, name)
        players = await self._register(name)
        started = time.perf_counter()
        game = await self._draw(campaign, players, on_draw)
        return Played(campaign, players, game, time.perf_counter() - started)

    async def _register(self, prefix: str) -> list[Player]:
        task = self._bars.add_task("registering", total=self._plan.users, note="users")
        return await register_players(
            self._edge, self._plan.users, prefix, lambda: self._bars.advance(task)
        )

    async def _draw(
        self, campaign: Campaign, players: Sequence[Player], on_draw: Callable[[Ack], None]
    ) -> Game:
        task = self._bars.add_task("drawing", total=self._plan.draws, note="draws")
        wins = 0

        def show(ack: Ack) -> None:
            nonlocal wins
            wins += bool(ack.outcome.prize_id)
            self._bars.update(task, advance=1, note=f"draws, {wins} won")
            on_draw(ack)

        address = self._endpoints.grpc["draw"]
        async with open_doors(self._edge, address, campaign.activity_id) as doors:
            return await play(doors, players, list(self._plan.doors()), show)

    async def judge(self, played: Played) -> tuple[Evidence, list[Check]]:
        """Compare what the players were told with Redis, Postgres and the JSON face."""
        await self._wait_until_recorded(played.campaign)
        task = self._bars.add_task("checking", total=1, note="")
        # Logged in afresh: a long demo outlives a token.
        token = await log_in(self._edge, self._endpoints.admin)
        seen = await collect_evidence(
            self.stores, self._edge, token, played.campaign, played.players
        )
        self._bars.advance(task)
        return seen, judge(played.game, played.players, seen)

    async def _wait_until_recorded(self, campaign: Campaign) -> None:
        task = self._bars.add_task("recording", total=self._plan.draws, note="in Postgres")
        await wait_until_recorded(
            self.stores,
            campaign.pool_id,
            lambda seq, newest: self._bars.update(task, completed=seq, total=newest),
        )


@asynccontextmanager
async def open_demo(plan: Plan, endpoints: Endpoints, bars: Progress) -> AsyncIterator[Demo]:
    """
    A demo on the stack at *endpoints*; its connections are closed on leaving.

    Raises:
        OperatorError: A store does not answer.
    """
    async with (
        open_database(endpoints.postgres) as postgres,
        open_redis(endpoints.redis) as redis,
        open_edge(endpoints.edge, plan.users) as edge,
    ):
        yield Demo(plan, endpoints, Stores(postgres, redis), edge, bars)
