"""Boxes with a seed of record: orders drawn by the scripts, and recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from redis.asyncio import Redis

from services.common.orders import draw_request_id
from services.pool.books.findings import Kind
from services.pool.rule.terms import Answer, Stock
from tests.support.blindbox import Box, ItemSpec, Shelf, insert_goods
from tests.support.ledgers import Campaign, Wish, insert_seed

BOX_KINDS = {
    Kind.ITEM_MISSING,
    Kind.ITEM_UNFOUNDED,
    Kind.ITEM_DIFFERS,
    Kind.ITEM_NUMBERS,
    Kind.ORDER_ITEMS,
    Kind.ORDER_STUCK,
}
LAST_PRIZE = ItemSpec(stock=1, title="The last one", is_last_prize=True)

Order = tuple[int, str] | tuple[int, str, int]


@dataclass(kw_only=True)
class BoxCampaign(Campaign):
    """A box whose seed is SEED. Change *config*, then publish() it; the items are fixed."""

    shelf: Shelf
    box: Box

    async def note_units(self, stocks: Sequence[Stock]) -> None:
        """Nothing: a box's units never change."""

    async def buy(self, *orders: Order) -> list[Answer]:
        """Draw for orders of (user id, order number, how many) in one step; all are drawn."""
        return await self.draw(*[await self.reserve(*order) for order in orders])

    async def reserve(self, user_id: int, order_num: str, count: int = 1) -> Wish:
        """Insert a reserved order; the wish that draws for it."""
        await self.shelf.order(self.box, order_num, user_id, count)
        return user_id, draw_request_id(order_num, 1), count


async def open_boxes(
    postgres: asyncpg.Pool,
    redis: Redis,
    *items: ItemSpec,
    boxes: int = 1,
    kind: str = "ichiban",
    **config: Any,
) -> list[BoxCampaign]:
    """
    Goods with so many published boxes.

    Args:
        items: What is in each box; of level "A" or, by their *shang*, "B".
        config: Fields of PoolConfig.
    """
    shelf = await insert_goods(postgres, *items, kind=kind, shangs=("A", "B"))
    return [await _open_box(postgres, redis, shelf, config) for _ in range(boxes)]


async def open_box(
    postgres: asyncpg.Pool, redis: Redis, *items: ItemSpec, **options: Any
) -> BoxCampaign:
    """Goods with one published box; the rest as open_boxes."""
    (campaign,) = await open_boxes(postgres, redis, *items, **options)
    return campaign


async def _open_box(
    postgres: asyncpg.Pool, redis: Redis, shelf: Shelf, config: dict[str, Any]
) -> BoxCampaign:
    pool_id = await postgres.fetchval("SELECT nextval('pool_ids')")
    box = await shelf.open_box(pool_id, await insert_seed(postgres, pool_id), **config)
    campaign = BoxCampaign(postgres, redis, pool_id, 0, box.config, shelf=shelf, box=box)
    await campaign.publish()
    return campaign
