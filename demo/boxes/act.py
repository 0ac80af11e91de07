"""The blind boxes on a running stack: sold, then judged."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from demo.accounts import Player
from demo.boxes.doors import Ack, Doors, GrpcDoor, JsonDoor
from demo.boxes.evidence import Evidence, collect_evidence
from demo.boxes.game import Buyers, Game, use_cards
from demo.boxes.plan import ICHIBAN, INFINITE, Plan
from demo.boxes.shop import OnSale, Shop
from demo.boxes.verdict import judge
from demo.checks import Check
from demo.rpc import open_channel
from demo.stage import Stage

_Cards = Sequence[tuple[Player, int]]


@dataclass(frozen=True, slots=True)
class Played:
    """
    Goods that were sold to their end.

    Args:
        box: The ichiban goods.
        infinite: The infinite goods.
        players: Who bought.
        cards: Whose cards there were.
        seconds: How long the orders took.
    """

    box: OnSale
    infinite: OnSale
    players: Sequence[Player]
    cards: _Cards
    game: Game
    seconds: float


class Boxes:
    """
    Plays a plan and judges it.

    Args:
        plan: What to play.
        stage: Where.
    """

    def __init__(self, plan: Plan, stage: Stage) -> None:
        self._plan = plan
        self._stage = stage

    async def play(self, on_ack: Callable[[Ack], None] = lambda _: None) -> Played:
        """Put goods on sale, register buyers and let them buy; *on_ack* gets each answer."""
        name = f"demo-{secrets.token_hex(3)}"
        token = await self._stage.log_in()
        shop = Shop(self._stage.stores, self._stage.edge, token)
        box, infinite = await shop.put_on_sale(ICHIBAN), await shop.put_on_sale(INFINITE)
        players = await self._stage.register(self._plan.buyers, name)
        cards = await self._give_cards(shop, infinite, players)
        game, started = Game(self._shown(box, on_ack)), time.perf_counter()
        async with self._doors(token) as doors:
            buyers = Buyers(players, name, doors, game)
            await buyers.empty_box(box, self._plan.box_errands())
            async with asyncio.TaskGroup() as group:
                group.create_task(buyers.buy(infinite, self._plan.infinite_errands()))
                group.create_task(use_cards(self._stage.edge, infinite, cards, game))
        return Played(box, infinite, players, cards, game, time.perf_counter() - started)

    async def _give_cards(self, shop: Shop, goods: OnSale, players: Sequence[Player]) -> _Cards:
        shares = zip(players, self._plan.card_shares(), strict=True)
        return [
            (player, card_id)
            for player, share in shares
            if share
            for card_id in await shop.give_cards(player.user_id, goods.goods_id, share)
        ]

    def _shown(self, box: OnSale, on_ack: Callable[[Ack], None]) -> Callable[[Ack], None]:
        """*on_ack*, and a bar for each of the two goods."""
        bars, plan = self._stage.bars, self._plan
        tickets = bars.add_task("the box", total=ICHIBAN.tickets, note="tickets")
        more = plan.infinite_orders + plan.cards
        orders = bars.add_task("infinite", total=more, note="orders and cards")

        def show(ack: Ack) -> None:
            if ack.wanted.goods_id == box.goods_id:
                bars.advance(tickets, 0 if ack.refusal else ack.wanted.tickets)
            else:
                bars.advance(orders, 0 if ack.refusal else 1)
            on_ack(ack)

        return show

    @asynccontextmanager
    async def _doors(self, token: str) -> AsyncIterator[Doors]:
        async with open_channel(self._stage.endpoints.grpc["draw"]) as channel:
            yield Doors(JsonDoor(self._stage.edge, token), GrpcDoor(channel, token))

    async def judge(self, played: Played) -> tuple[Evidence, list[Check]]:
        """Compare what the buyers were told with Redis, Postgres and the JSON face."""
        goods = [played.box, played.infinite]
        for one in goods:
            await self._stage.wait_until_recorded(one.pool_id)
        task = self._stage.bars.add_task("checking", total=1, note="")
        seen = await collect_evidence(self._stage, goods, played.players, played.game.acks)
        self._stage.bars.advance(task)
        card_ids = [card_id for _, card_id in played.cards]
        return seen, judge(played.game, played.players, card_ids, seen)
