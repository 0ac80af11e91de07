"""Goods, boxes, orders and cards put straight into Postgres, and what their pools are told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg
from kuji.draw.v1 import pool_pb2

from services.common.orders import OrderType, card_order_num, draw_request_id

_MODES = {"ichiban": pool_pb2.POOL_MODE_TICKETS, "infinite": pool_pb2.POOL_MODE_WEIGHTS}


@dataclass(frozen=True)
class ItemSpec:
    """An item as the tests want it; stock None: unlimited; weight None: the surplus stock."""

    stock: int | None = 10
    weight: int | None = None
    title: str = "A mug"
    shang: int = 0  # place of its level among those of the goods
    is_last_prize: bool = False
    price: str = "9.90"
    sc_money: str = "2.00"


@dataclass
class Box:
    """A box and its pool; mutate *config* and publish it again."""

    goods_id: int
    num: int
    pool_id: int
    version: int
    prize_ids: list[int]
    config: pool_pb2.PoolConfig


@dataclass
class Shelf:
    """
    Goods in Postgres.

    Args:
        shang_ids, item_ids: In the order given.
        boxes: Opened so far, by num − 1.
    """

    postgres: asyncpg.Pool
    goods_id: int
    type: str
    items: Sequence[ItemSpec]
    shang_ids: list[int]
    item_ids: list[int]
    boxes: list[Box] = field(default_factory=list)

    async def open_box(self, pool_id: int, commitment: bytes, **config: Any) -> Box:
        """Insert a box over the new pool *pool_id*; it is not published yet (version 0)."""
        num = len(self.boxes) + 1
        await self.postgres.execute(
            "INSERT INTO pools (id, mode, seed_commitment) VALUES ($1, $2, $3)",
            pool_id,
            "tickets" if self.type == "ichiban" else "weights",
            commitment,
        )
        await self.postgres.execute(
            "INSERT INTO boxes (goods_id, num, pool_id, revision) VALUES ($1, $2, $3, 1)",
            self.goods_id,
            num,
            pool_id,
        )
        prize_ids = [
            await self.postgres.fetchval(
                "INSERT INTO prizes (goods_item_id, pool_id, name, total_count, probability_ppb)"
                " VALUES ($1, $2, $3, $4, 0) RETURNING id",
                item_id,
                pool_id,
                item.title,
                item.stock,
            )
            for item_id, item in zip(self.item_ids, self.items, strict=True)
        ]
        box = Box(self.goods_id, num, pool_id, 0, prize_ids, self._config(prize_ids, config))
        self.boxes.append(box)
        return box

    def _config(self, prize_ids: Sequence[int], config: dict[str, Any]) -> pool_pb2.PoolConfig:
        return pool_pb2.PoolConfig(
            **{"mode": _MODES[self.type], "status": pool_pb2.POOL_STATUS_OPEN, **config},
            prizes=[
                pool_pb2.PoolPrize(
                    prize_id=prize_id,
                    name=item.title,
                    units=-1 if item.stock is None else item.stock,
                    weight=item.weight or 0,
                    enabled=True,
                    last_prize=item.is_last_prize,
                )
                for prize_id, item in zip(prize_ids, self.items, strict=True)
            ],
        )

    async def order(
        self, box: Box, order_num: str, user_id: int, count: int = 1, **columns: Any
    ) -> int:
        """Insert a reserved order of this box; its id."""
        kind = OrderType.ICHIBAN if self.type == "ichiban" else OrderType.INFINITE
        row = {
            "order_num": order_num,
            "order_type": kind,
            "user_id": user_id,
            "goods_id": self.goods_id,
            "num": box.num,
            "pool_id": box.pool_id,
            "draw_count": count,
            "draw_request_id": draw_request_id(order_num, 1),
            **columns,
        }
        return await _insert(self.postgres, "orders", row)


async def insert_goods(
    postgres: asyncpg.Pool,
    *items: ItemSpec,
    kind: str = "ichiban",
    shangs: Sequence[str] = ("A",),
    **columns: Any,
) -> Shelf:
    """Goods on the shelf with these items and levels; no boxes yet."""
    row = {"title": "Spring box", "type": kind, "price": Decimal("9.90"), **columns}
    goods_id = await _insert(postgres, "goods", row)
    shang_ids = [
        await _insert(
            postgres,
            "shangs",
            {"goods_id": goods_id, "title": title, "sort": sort, "color": "#c00000"},
        )
        for sort, title in enumerate(shangs)
    ]
    item_ids = [
        await _insert(
            postgres,
            "goods_items",
            {
                "goods_id": goods_id,
                "shang_id": shang_ids[item.shang],
                "title": item.title,
                "img_url": f"https://img.example/{place}.png",
                "price": Decimal(item.price),
                "sc_money": Decimal(item.sc_money),
                "stock": item.stock,
                "weight": item.weight,
                "is_last_prize": item.is_last_prize,
            },
        )
        for place, item in enumerate(items)
    ]
    return Shelf(postgres, goods_id, kind, items, shang_ids, item_ids)


async def insert_card(postgres: asyncpg.Pool, user_id: int, goods_id: int | None = None) -> int:
    """A fresh item card; its id."""
    return await _insert(
        postgres, "item_cards", {"user_id": user_id, "goods_id": goods_id, "created_by": 1}
    )


async def card_status(postgres: asyncpg.Pool, item_card_id: int) -> str:
    """unused, reserved or used."""
    status: str | None = await postgres.fetchval(
        "SELECT status FROM orders WHERE order_num = $1", card_order_num(item_card_id)
    )
    return {None: "unused", "released": "unused", "drawn": "used"}.get(status) or "reserved"


async def _insert(postgres: asyncpg.Pool, table: str, row: dict[str, Any]) -> int:
    names, places = ", ".join(row), ", ".join(f"${at}" for at in range(1, len(row) + 1))
    statement = f"INSERT INTO {table} ({names}) VALUES ({places}) RETURNING id"
    row_id: int = await postgres.fetchval(statement, *row.values())
    return row_id
