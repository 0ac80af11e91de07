"""A crowd at a running stack: it draws, buys, edits, reads, listens, logs in, and remembers."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from kuji.draw.v1.draw_pb2 import BatchDraw

from demo.client import Edge, Json, Player, log_in
from ops.connections import Login
from services.common.orders import card_order_num
from tests.chaos.desk import Desk
from tests.chaos.told import OK, SOLD_OUT, Line, Told

KINDS = ("draw", "batch", "order", "card", "edit", "block", "read", "stream", "log in")
_PAUSE_S = 0.1  # before a call is repeated
_SEED = 7
_BATCH = 10  # draws of a player in a batch


@dataclass(frozen=True)
class Market:
    """
    What the crowd finds.

    Args:
        edited_id: The prize whose units are edited.
        infinite_id: Goods that do not end.
        ichiban_id: Goods whose one box is soon empty.
        stranger_id: A user who does not draw, and is blocked now and then.
    """

    activity_id: int
    edited_id: int
    infinite_id: int
    ichiban_id: int
    stranger_id: int


class Crowd:
    """
    The crowd.

    Args:
        edge: Where it calls.
        desk: Where batches are drawn.
        admin: Who administrates.
        players: Who draw; the first two buy and use cards, too, and the last two draw in batches.
        pause_s: About how long it waits between two calls of a kind.

    Attributes:
        draws: By player: request id → the answered draw.
        orders: By player: order number → the answered items.
        streamed: Draws of the winners that were heard of as they won; how often each.
    """

    def __init__(
        self,
        edge: Edge,
        desk: Desk,
        admin: Login,
        players: Sequence[Player],
        market: Market,
        pause_s: float,
    ) -> None:
        self._edge = edge
        self._desk = desk
        self._line = Line(edge)
        self._admin = admin
        self._players = players
        self._market = market
        self._pause_s = pause_s
        self._random = random.Random(_SEED)
        self._is_stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: asyncio.Future[None] = asyncio.Future()
        self.admin_token = ""  # outlives the crowd
        self.draws: dict[Player, dict[str, Json]] = {player: {} for player in players}
        self.orders: dict[Player, dict[str, list[Json]]] = {player: {} for player in players}
        self.streamed: Counter[str] = Counter()

    async def start(self) -> None:
        """Call from now on."""
        self.admin_token = await log_in(self._edge, self._admin)
        pause_s = self._pause_s
        buyers, batchers = self._players[:2], self._players[-2:]
        jobs: list[Coroutine[Any, Any, None]] = [
            self._for_ever(self._edit, 2 * pause_s),
            self._for_ever(self._block, 2 * pause_s),
            self._for_ever(self._read, pause_s),
            self._for_ever(self._log_in, 4 * pause_s),
            *(self._for_ever(self._draw_of(player), pause_s / 2) for player in self._players),
            *(self._for_ever(self._order_of(player), pause_s) for player in buyers),
            *(self._for_ever(self._card_of(player), 4 * pause_s) for player in buyers),
            self._for_ever(self._batch_of(batchers), 2 * pause_s),
            self._for_ever(self._listen, pause_s),
        ]
        self._tasks = [asyncio.ensure_future(job) for job in jobs]

    async def stop(self) -> None:
        """Begin nothing more; return once all that was begun is answered."""
        self._is_stopping = True
        self._listening.cancel()
        await asyncio.gather(*self._tasks)

    async def leave(self) -> None:
        """Go at once, whatever was begun."""
        self._is_stopping = True
        self._listening.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def take_told(self) -> Told:
        """What it was told since the last time."""
        told, self._line.told = self._line.told, Told()
        return told

    async def goes_well(self, timeout_s: float) -> bool:
        """Whether calls of every kind succeed, each twice from now on, within *timeout_s*."""
        told = self._line.told
        wanted = {kind: told.succeeded(kind) + 2 for kind in KINDS}
        deadline = time.monotonic() + timeout_s
        while any(told.succeeded(kind) < count for kind, count in wanted.items()):
            for task in self._tasks:
                if task.done():
                    task.result()
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _for_ever(
        self, do: Callable[[int], Coroutine[Any, Any, None]], pause_s: float
    ) -> None:
        for number in itertools.count(1):
            if self._is_stopping:
                return
            await do(number)
            await asyncio.sleep(pause_s)

    async def _answer(
        self, kind: str, path: str, token: str, body: Json, last_word: str = OK
    ) -> Any:
        """What a call gives, however often it has to be repeated; None where it is *last_word*."""
        since = time.monotonic()
        while (answer := await self._line.ask(kind, "POST", path, token, body)).what != OK:
            if answer.what == last_word:
                break
            await asyncio.sleep(_PAUSE_S)
        self._line.told.waited(kind, since)
        return answer.data

    def _draw_of(self, player: Player) -> Callable[[int], Coroutine[Any, Any, None]]:
        async def draw(number: int) -> None:
            request_id = f"draw {number}"
            body = {"activity_id": self._market.activity_id, "request_id": request_id}
            drawn = await self._answer("draw", "/api/lottery/draw", player.token, body)
            self.draws[player][request_id] = drawn

        return draw

    def _order_of(self, player: Player) -> Callable[[int], Coroutine[Any, Any, None]]:
        async def order(number: int) -> None:
            goods_id = (self._market.infinite_id, self._market.ichiban_id)[number % 2]
            order_num = f"{player.username}-{number}"
            body = {
                "order_num": order_num,
                "user_id": player.user_id,
                "goods_id": goods_id,
                "num": 1,
                "count": self._random.randint(1, 3),
            }
            path, token = "/api/blindbox/orders", self.admin_token
            placed = await self._answer("order", path, token, body, SOLD_OUT)
            if placed is not None:
                self.orders[player][order_num] = placed["results"]

        return order

    def _card_of(self, player: Player) -> Callable[[int], Coroutine[Any, Any, None]]:
        async def use_card(number: int) -> None:
            goods_id = self._market.infinite_id
            body: Json = {"user_id": player.user_id, "goods_id": goods_id, "count": 1}
            path = "/admin/api/item-cards"
            given = await self._line.ask("card", "POST", path, self.admin_token, body)
            if given.what != OK:
                return
            card_id = int(given.data["item_card_ids"][0])
            body = {"goods_id": goods_id, "item_card_id": card_id, "request_id": f"card {number}"}
            path = "/api/blindbox/item_card_draw"
            drawn = await self._answer("card", path, player.token, body)
            self.orders[player][card_order_num(card_id)] = [drawn]

        return use_card

    def _batch_of(self, players: Sequence[Player]) -> Callable[[int], Coroutine[Any, Any, None]]:
        async def draw(number: int) -> None:
            since = time.monotonic()
            wanted = {
                (player, f"batch {number} {place}"): BatchDraw(
                    activity_id=self._market.activity_id,
                    user_id=player.user_id,
                    request_id=f"batch {number} {place}",
                )
                for player in players
                for place in range(_BATCH)
            }
            while wanted:
                for (player, name), drawn in (await self._desk.draw(wanted, self._line)).items():
                    self.draws[player][name] = drawn
                    del wanted[player, name]
                await asyncio.sleep(_PAUSE_S)
            self._line.told.waited("batch", since)

        return draw

    async def _listen(self, _number: int) -> None:
        path = f"/api/lottery/global-history/stream?activity_id={self._market.activity_id}"
        self._listening = asyncio.ensure_future(self._line.listen("stream", path, self._heard))
        await asyncio.wait([self._listening])
        if not self._listening.cancelled():
            self._listening.result()

    def _heard(self, winner: Json) -> None:
        self.streamed[winner["draw_id"]] += 1

    async def _edit(self, number: int) -> None:
        path = f"/admin/api/prizes/{self._market.edited_id}"
        body = {"total_count": 1_000_000 + number}
        await self._line.ask("edit", "PUT", path, self.admin_token, body)

    async def _block(self, _number: int) -> None:
        path, body = "/admin/api/blocks", {"user_id": self._market.stranger_id, "reason": "chaos"}
        made = await self._line.ask("block", "POST", path, self.admin_token, body)
        if made.what == OK:
            path = f"{path}/{made.data['block_id']}"
            await self._line.ask("block", "DELETE", path, self.admin_token)

    async def _read(self, _number: int) -> None:
        player, market = self._players[0], self._market
        reads: list[tuple[str, str, Json]] = [
            ("/api/lottery/global-history", "", {}),
            ("/api/lottery/prizes", "", {"activity_id": market.activity_id}),
            ("/api/user/lottery-history", player.token, {"page_size": 5}),
            ("/api/blindbox/goods", "", {}),
            ("/api/blindbox/infinite_shang_log", "", {"goods_id": market.infinite_id}),
        ]
        if self.draws[player]:
            draw_id = next(reversed(self.draws[player].values()))["draw_id"]
            reads.append((f"/api/lottery/result/{draw_id}", player.token, {}))
        for path, token, query in reads:
            await self._line.ask("read", "GET", path, token, query)

    async def _log_in(self, _number: int) -> None:
        body = {"username": "chaos-login", "password": "correct horse battery"}
        session = await self._line.ask("log in", "POST", "/api/auth/login", body=body)
        if session.what == OK:
            token = session.data["access_token"]
            await self._line.ask("log in", "GET", "/api/user/profile", token)
