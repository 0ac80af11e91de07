"""The buyers' part: they buy a box empty, all at once; then orders and cards of infinite goods."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo.accounts import Player
from demo.boxes.doors import Ack, Doors, Wanted, draw_with_card
from demo.boxes.plan import LARGEST_ORDER, Errand
from demo.boxes.shop import OnSale
from demo.edge import Edge
from demo.patience import passes


@dataclass(slots=True)
class Game:
    """
    What the buyers were told.

    Args:
        on_ack: Called with each order's answer.
        acks: Each answer.
        unanswered: Order numbers whose outcome never became known, with the last failure.
    """

    on_ack: Callable[[Ack], None]
    acks: list[Ack] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)

    async def note(self, order_num: str, answer: Awaitable[Ack]) -> Ack | None:
        """Wait for an order's answer; None: it never came."""
        try:
            ack = await answer
        except Exception as error:
            if not passes(error):
                raise
            self.unanswered[order_num] = repr(error)
            return None
        self.acks.append(ack)
        self.on_ack(ack)
        return ack


class Buyers:
    """
    All buyers.

    Args:
        players: Who they are.
        prefix: Of order numbers, unlike that of any other demo.
        doors: Their ways to an order.
        game: Gets what they are told.
    """

    def __init__(self, players: Sequence[Player], prefix: str, doors: Doors, game: Game) -> None:
        self._players = players
        self._prefix = prefix
        self._doors = doors
        self._game = game

    async def empty_box(self, box: OnSale, errands: Sequence[Iterator[Errand]]) -> None:
        """Buy at once until nothing is left; for each buyer: its orders, without end."""
        await self._all_at_once(self._buy_until_empty, box, errands)

    async def buy(self, goods: OnSale, errands: Sequence[Sequence[Errand]]) -> None:
        """Buy at once; for each buyer: its orders."""
        await self._all_at_once(self._buy_each, goods, errands)

    async def _all_at_once(
        self,
        buy: Callable[[Player, OnSale, Iterable[Errand]], Coroutine[Any, Any, None]],
        goods: OnSale,
        errands: Sequence[Iterable[Errand]],
    ) -> None:
        async with asyncio.TaskGroup() as group:
            for player, share in zip(self._players, errands, strict=True):
                group.create_task(buy(player, goods, share))

    async def _buy_until_empty(
        self, player: Player, box: OnSale, errands: Iterable[Errand]
    ) -> None:
        largest = LARGEST_ORDER
        for number, (tickets, over_grpc) in enumerate(errands):
            wanted = self._wanted(player, box, number, min(tickets, largest))
            ack = await self._order(wanted, over_grpc)
            if ack is None:
                return
            if ack.refusal:
                largest = wanted.tickets - 1  # so many are left at most
            if not largest:
                return

    async def _buy_each(self, player: Player, goods: OnSale, errands: Iterable[Errand]) -> None:
        for number, (tickets, over_grpc) in enumerate(errands):
            await self._order(self._wanted(player, goods, number, tickets), over_grpc)

    def _wanted(self, player: Player, goods: OnSale, number: int, tickets: int) -> Wanted:
        order_num = f"{self._prefix}-{goods.goods_id}-{player.user_id}-{number}"
        return Wanted(order_num, player.user_id, goods.goods_id, tickets)

    async def _order(self, wanted: Wanted, over_grpc: bool) -> Ack | None:
        door = self._doors.grpc if over_grpc else self._doors.json
        return await self._game.note(wanted.order_num, door.order(wanted))


async def use_cards(
    edge: Edge, goods: OnSale, cards: Sequence[tuple[Player, int]], game: Game
) -> None:
    """Draw with each card of its owner at once; with the first of them from two windows."""
    uses = [(player, card_id, "a window") for player, card_id in cards]
    uses += [(player, card_id, "another window") for player, card_id in cards[:1]]
    async with asyncio.TaskGroup() as group:
        for player, card_id, window in uses:
            answer = draw_with_card(edge, player, goods.goods_id, card_id, f"{window} of {card_id}")
            group.create_task(game.note(f"card {card_id}, {window}", answer))
