"""The lottery on a running stack: played, then judged."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demo.accounts import Player
from demo.checks import Check
from demo.lottery.campaign import Campaign, open_campaign
from demo.lottery.doors import Ack, open_doors
from demo.lottery.evidence import Evidence, collect_evidence
from demo.lottery.game import Game, play
from demo.lottery.plan import Plan
from demo.lottery.verdict import judge
from demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Played:
    """A campaign that was played to its end; *seconds*: how long the draws took."""

    campaign: Campaign
    players: Sequence[Player]
    game: Game
    seconds: float


class Lottery:
    """
    Plays a plan and judges it.

    Args:
        plan: What to play.
        stage: Where.
    """

    def __init__(self, plan: Plan, stage: Stage) -> None:
        self._plan = plan
        self._stage = stage

    async def play(self, on_draw: Callable[[Ack], None] = lambda _: None) -> Played:
        """Open a campaign, register users and let them draw; *on_draw* gets each draw's answer."""
        name = f"demo-{secrets.token_hex(3)}"
        token = await self._stage.log_in()
        campaign = await open_campaign(self._stage.edge, token, self._plan, name)
        players = await self._stage.register(self._plan.users, name)
        started = time.perf_counter()
        game = await self._draw(campaign, players, on_draw)
        return Played(campaign, players, game, time.perf_counter() - started)

    async def _draw(
        self, campaign: Campaign, players: Sequence[Player], on_draw: Callable[[Ack], None]
    ) -> Game:
        bars = self._stage.bars
        task = bars.add_task("drawing", total=self._plan.draws, note="draws")
        wins = 0

        def show(ack: Ack) -> None:
            nonlocal wins
            wins += bool(ack.outcome.prize_id)
            bars.update(task, advance=1, note=f"draws, {wins} won")
            on_draw(ack)

        address = self._stage.endpoints.grpc["draw"]
        async with open_doors(self._stage.edge, address, campaign.activity_id) as doors:
            return await play(doors, players, list(self._plan.doors()), show)

    async def judge(self, played: Played) -> tuple[Evidence, list[Check]]:
        """Compare what the players were told with Redis, Postgres and the JSON face."""
        stage = self._stage
        await stage.wait_until_recorded(played.campaign.pool_id)
        task = stage.bars.add_task("checking", total=1, note="")
        # Logged in afresh: a long demo outlives a token.
        token = await stage.log_in()
        seen = await collect_evidence(
            stage.stores, stage.edge, token, played.campaign, played.players
        )
        stage.bars.advance(task)
        return seen, judge(played.game, played.players, seen)
