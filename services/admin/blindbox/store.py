"""Postgres as the administration of blind boxes sees it: typed rows over queries.sql."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.admin.blindbox.models import (
    Box,
    BoxPrize,
    CardStatus,
    Goods,
    GoodsTerms,
    GoodsType,
    Item,
    ItemCard,
    ItemTerms,
    Shang,
    ShangTerms,
)
from services.admin.models import ConfirmMode
from services.admin.store import Rows, Store, window
from services.common.errors import GoodsNotFoundError
from services.common.paging import Page
from services.common.postgres import load_queries

_queries = load_queries(__file__)


class GoodsRows(Rows):
    """The statements of blind boxes, beside all others of the administration."""

    async def lock_goods(self, goods_id: int) -> Goods:
        """
        The goods, which nobody else changes until the end of the transaction.

        Nor does anybody their levels, items and boxes.

        Raises:
            GoodsNotFoundError: No such goods.
        """
        await _queries.lock_goods(self.connection, goods_id=goods_id)
        return await self.goods(goods_id)

    async def goods(self, goods_id: int) -> Goods:
        """The goods; GoodsNotFoundError: no such goods."""
        return await _goods_by_id(self.connection, goods_id)

    async def insert_goods(self, kind: GoodsType, terms: GoodsTerms) -> int:
        """Store new goods; their id."""
        return int(await _queries.insert_goods(self.connection, type=kind, terms=terms))

    async def update_goods(self, goods_id: int, terms: GoodsTerms, revision: int) -> None:
        """Replace the terms of goods."""
        await _queries.update_goods(
            self.connection, goods_id=goods_id, terms=terms, revision=revision
        )

    async def insert_shang(self, goods_id: int, terms: ShangTerms) -> int:
        """Store a new level; its id."""
        return int(await _queries.insert_shang(self.connection, goods_id=goods_id, terms=terms))

    async def shangs(self, goods_id: int) -> list[Shang]:
        """The levels of goods, by sort."""
        return [_shang(row) async for row in _queries.shangs(self.connection, goods_id=goods_id)]

    async def insert_item(self, goods_id: int, terms: ItemTerms) -> int:
        """Store a new item; its id."""
        return int(await _queries.insert_item(self.connection, goods_id=goods_id, terms=terms))

    async def update_item(self, goods_item_id: int, terms: ItemTerms) -> None:
        """Replace an item's terms."""
        await _queries.update_item(self.connection, goods_item_id=goods_item_id, terms=terms)

    async def items(self, goods_id: int) -> list[Item]:
        """The items of goods, by id."""
        return [_item(row) async for row in _queries.items(self.connection, goods_id=goods_id)]

    async def want_boxes(self, goods_id: int, boxes: int) -> None:
        """Store how many boxes the goods are to have."""
        await _queries.want_boxes(self.connection, goods_id=goods_id, boxes=boxes)

    async def next_box(self, goods_id: int) -> int | None:
        """The number of the box to be opened next; None: no further one."""
        num: int | None = await _queries.next_box(self.connection, goods_id=goods_id)
        return num

    async def insert_box(self, box: Box) -> None:
        """Store a box, with a prize for each item of its goods."""
        await _queries.insert_box(self.connection, box=box)
        await _queries.insert_box_prizes(
            self.connection, pool_id=box.pool_id, goods_id=box.goods_id
        )
        await _queries.count_units(self.connection, pool_id=box.pool_id)

    async def update_box(self, box: Box) -> None:
        """Note what its pool is published with."""
        await _queries.update_box(self.connection, box=box)

    async def box_of_pool(self, pool_id: int) -> Box | None:
        """The box that is the pool; None: it is none."""
        row = await _queries.box_of_pool(self.connection, pool_id=pool_id)
        return None if row is None else Box(**row)

    async def box_prizes(self, pool_id: int) -> list[BoxPrize]:
        """The prizes of a box's pool, by id."""
        rows = _queries.box_prizes(self.connection, pool_id=pool_id)
        return [
            BoxPrize(row["prize_id"], row["won_count"], _item_terms(row), row["held_count"])
            async for row in rows
        ]

    async def insert_cards(
        self, user_id: int, goods_id: int | None, cards: int, created_by: int
    ) -> list[int]:
        """Store so many new cards; their ids, ascending."""
        rows = _queries.insert_cards(
            self.connection, user_id=user_id, goods_id=goods_id, cards=cards, created_by=created_by
        )
        return sorted([row["id"] async for row in rows])


class GoodsStore(Store):
    """Connections, transactions, and the reads that need none."""

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[GoodsRows]:
        """A transaction: committed at the end of the block, rolled back by an exception."""
        async with super().writing() as rows:
            yield GoodsRows(rows.connection)

    async def all_goods(self, page: Page) -> list[Goods]:
        """One page, newest first, and one row more where there is one."""
        return [_goods(row) async for row in _queries.all_goods(self._pool, **window(page))]

    async def shangs(self, goods_id: int) -> list[Shang]:
        """The levels of goods, by sort; GoodsNotFoundError: no such goods."""
        await _goods_by_id(self._pool, goods_id)
        return [_shang(row) async for row in _queries.shangs(self._pool, goods_id=goods_id)]

    async def items(self, goods_id: int) -> list[Item]:
        """The items of goods, by id; GoodsNotFoundError: no such goods."""
        await _goods_by_id(self._pool, goods_id)
        return [_item(row) async for row in _queries.items(self._pool, goods_id=goods_id)]

    async def boxes_behind(self, goods_id: int) -> list[int]:
        """The pools of live boxes that do not have the goods' newest revision yet."""
        rows = _queries.boxes_behind(self._pool, goods_id=goods_id)
        return [row["pool_id"] async for row in rows]

    async def due_boxes(self) -> list[int]:
        """The pools of live boxes that are behind their goods, or recorded as sold out."""
        return [row["pool_id"] async for row in _queries.due_boxes(self._pool)]

    async def goods_to_open(self) -> list[int]:
        """Goods with boxes that are to be opened."""
        return [row["id"] async for row in _queries.goods_to_open(self._pool)]

    async def cards(self, user_id: int, page: Page) -> list[ItemCard]:
        """One page, newest first, and one row more; user 0: of all."""
        rows = _queries.cards(self._pool, user_id=user_id, **window(page))
        return [_card(row) async for row in rows]


async def _goods_by_id(database: Any, goods_id: int) -> Goods:  # noqa: ANN401  # asyncpg has no types
    row = await _queries.goods(database, goods_id=goods_id)
    if row is None:
        raise GoodsNotFoundError
    return _goods(row)


def _goods(row: Any) -> Goods:  # noqa: ANN401
    return Goods(
        goods_id=row["id"],
        type=GoodsType(row["type"]),
        revision=row["revision"],
        boxes=row["boxes"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        terms=GoodsTerms(
            title=row["title"],
            price=row["price"],
            image_url=row["image_url"],
            on_shelf=row["on_shelf"],
            protection_seconds=row["protection_seconds"],
            is_ended=row["is_ended"],
            confirm=ConfirmMode(row["confirm"]),
        ),
    )


def _shang(row: Any) -> Shang:  # noqa: ANN401
    terms = ShangTerms(title=row["title"], color=row["color"], sort=row["sort"])
    return Shang(shang_id=row["id"], goods_id=row["goods_id"], terms=terms)


def _item(row: Any) -> Item:  # noqa: ANN401
    return Item(goods_item_id=row["id"], goods_id=row["goods_id"], terms=_item_terms(row))


def _item_terms(row: Any) -> ItemTerms:  # noqa: ANN401
    return ItemTerms(
        title=row["title"],
        img_url=row["img_url"],
        shang_id=row["shang_id"],
        price=row["price"],
        sc_money=row["sc_money"],
        stock=row["stock"],
        weight=row["weight"],
        is_last_prize=row["is_last_prize"],
    )


def _card(row: Any) -> ItemCard:  # noqa: ANN401
    return ItemCard(
        item_card_id=row["item_card_id"],
        user_id=row["user_id"],
        goods_id=row["goods_id"],
        status=CardStatus(row["status"]),
        created_at=row["created_at"],
    )
