"""Boxes on sale in a real Redis: opened, bought from by the scripts, carried into Postgres."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from redis.asyncio import Redis

from services.common.orders import OrderType, card_order_num, order_item_id
from services.pool.configuration import config_of, document_of
from services.pool.ledger.entries import decode_entry
from services.pool.rule import fairness
from services.pool.rule.prize_code import prize_code
from services.pool.rule.terms import ConfigureCode, DrawCode, Drawn
from services.pool.store.keys import ledger_key
from services.pool.store.redis_store import RedisStore
from services.recorder.boxes import BoxMemory
from services.recorder.recording import record
from tests.support.blindbox import Box, ItemSpec, Shelf, insert_card, insert_goods
from tests.support.draws import NO_BACKLOG_BOUND, SEED, intent


@dataclass(frozen=True)
class Item:
    """An item that an order gave, as its buyer was told it."""

    id: int
    order_id: int
    user_id: int
    box: Box
    seq: int
    drawn_ms: int
    place: int  # of the goods item, among those of the shelf
    luck_no: int
    prize_code: str
    is_last_prize: bool

    @property
    def draw_id(self) -> str:
        """<pool_id>-<seq>."""
        return f"{self.box.pool_id}-{self.seq}"


@dataclass(frozen=True)
class Bought:
    """An order that was drawn."""

    order_id: int
    order_num: str
    order_type: int
    user_id: int
    items: Sequence[Item]


@dataclass
class Shop:
    """
    Goods on sale.

    Args:
        items: All that was drawn, oldest first.
    """

    shelf: Shelf
    redis: Redis
    items: list[Item] = field(default_factory=list)
    orders: int = 0

    def __post_init__(self) -> None:
        self.postgres = self.shelf.postgres
        self._store = RedisStore(self.redis, NO_BACKLOG_BOUND)

    async def open_box(self, **config: Any) -> Box:
        """A box that can be drawn from."""
        pool_id = await self.postgres.fetchval("SELECT nextval('pool_ids')")
        box = await self.shelf.open_box(pool_id, fairness.commitment(SEED), **config)
        await self.publish(box)
        return box

    async def publish(self, box: Box) -> None:
        """Publish the box's configuration as its next version."""
        version = await self.postgres.fetchval("SELECT nextval('pool_versions_seq')")
        done = await self._store.configure(
            box.pool_id, box.version, version, config_of(box.config), document_of(box.config)
        )
        assert ConfigureCode.CONFIGURED == done.code
        await self.postgres.execute(
            "UPDATE pools SET version = $2 WHERE id = $1", box.pool_id, version
        )
        box.version = version

    async def buy(self, box: Box, user_id: int, count: int = 1, *, mark: bool = True) -> Bought:
        """An order of *count*, drawn; without *mark* its row stays reserved."""
        self.orders += 1
        order_num = f"N-{box.pool_id}-{self.orders}"
        kind = OrderType.ICHIBAN if self.shelf.type == "ichiban" else OrderType.INFINITE
        order_id = await self.shelf.order(box, order_num, user_id, count)
        return await self._draw(box, order_id, order_num, kind, user_id, count, mark)

    async def buy_by_card(self, box: Box, user_id: int) -> Bought:
        """One item for a fresh item card."""
        card_id = await insert_card(self.postgres, user_id)
        order_num, kind = card_order_num(card_id), OrderType.ITEM_CARD
        order_id = await self.shelf.order(
            box, order_num, user_id, order_type=kind, item_card_id=card_id
        )
        return await self._draw(box, order_id, order_num, kind, user_id, 1, mark=True)

    async def _draw(
        self,
        box: Box,
        order_id: int,
        order_num: str,
        kind: OrderType,
        user_id: int,
        count: int,
        mark: bool,
    ) -> Bought:
        request_id = await self.postgres.fetchval(
            "SELECT draw_request_id FROM orders WHERE id = $1", order_id
        )
        wish = intent(user_id, request_id, count, box.pool_id)
        drawing = await self._store.draw(box.pool_id, [wish])
        (answer,) = drawing.answers
        assert DrawCode.DRAWN == answer.code
        items = [
            self._item(box, order_id, user_id, answer.first_seq, drawing.now_ms, at, drawn)
            for at, drawn in enumerate(answer.draws)
        ]
        self.items += items
        if mark:
            await self.postgres.execute(
                "UPDATE orders SET status = 'drawn', first_seq = $2, places = $3 WHERE id = $1",
                order_id,
                answer.first_seq,
                answer.places,
            )
        return Bought(order_id, order_num, kind, user_id, items)

    def _item(
        self,
        box: Box,
        order_id: int,
        user_id: int,
        first_seq: int,
        drawn_ms: int,
        at: int,
        drawn: Drawn,
    ) -> Item:
        place = box.prize_ids.index(drawn.prize_id)
        return Item(
            order_item_id(order_id, at),
            order_id,
            user_id,
            box,
            first_seq + at,
            drawn_ms,
            place,
            drawn.ticket + 1,
            prize_code(box.pool_id, first_seq + at, drawn.code_bytes),
            self.shelf.items[place].is_last_prize,
        )

    async def record(self, box: Box, entries: int | None = None) -> None:
        """Carry the first *entries* of the box's ledger, or all, into Postgres."""
        raw: Any = await self.redis.xrange(ledger_key(box.pool_id))
        async with self.postgres.acquire() as connection:
            decoded = [decode_entry(*one) for one in raw[:entries]]
            await record(connection, box.pool_id, decoded, {}, BoxMemory())

    def shang_id(self, item: Item) -> int:
        """The level of *item*."""
        return self.shelf.shang_ids[self.shelf.items[item.place].shang]


async def open_shop(postgres: asyncpg.Pool, redis: Redis, *items: ItemSpec, **goods: Any) -> Shop:
    """Goods on sale, with columns of insert_goods; no boxes yet."""
    return Shop(await insert_goods(postgres, *items, **goods), redis)
