"""What the verdict is computed from: Postgres, Redis and the JSON face, after the last order."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from demo.accounts import Player
from demo.books import Books, read_books
from demo.boxes.doors import Ack
from demo.boxes.shop import OnSale
from demo.crowd import for_each
from demo.edge import Edge, Json
from demo.stage import Stage
from services.common.postgres import load_queries

_queries = load_queries(__file__)
_LIST_MAX_AGE_S = 1.0
_PAGE_SIZE = 100
_LOGS = {"ichiban": "prize_order_log", "infinite": "infinite_prize_order_log"}


class Row(NamedTuple):
    """An order item as Postgres has it."""

    order_num: str
    user_id: int
    goods_id: int
    order_id: int
    id: int
    goods_item_id: int
    goodslist_type: int
    shang_id: int
    prize_code: str
    luck_no: int
    order_type: int
    source: int
    draw_id: str


@dataclass(frozen=True, slots=True)
class Counter:
    """
    What was sold of one goods, from every side; the lists as the JSON face gives them.

    Args:
        goods: Which.
        books: Of its pool.
        rows: Postgres's order items, by id.
        statuses: Order number → status in Postgres.
        logs: Order number → what its buyer is shown of it.
        pages: Level (0: all) → its winning records, newest first; of infinite goods alone.
        daily: Today's winning records, newest first.
        box: Its box, as everybody is shown it.
        read_at: When the lists were read, Unix seconds.
    """

    goods: OnSale
    books: Books
    rows: Sequence[Row]
    statuses: Mapping[str, str]
    logs: Mapping[str, Sequence[Json]]
    pages: Mapping[int, Sequence[Json]]
    daily: Sequence[Json]
    box: Json
    read_at: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Every goods that was sold, and each card's status as its owner is shown it."""

    counters: Sequence[Counter]
    cards: Mapping[int, str]


async def collect_evidence(
    stage: Stage, goods: Sequence[OnSale], players: Sequence[Player], acks: Sequence[Ack]
) -> Evidence:
    """All evidence of *goods*, sold to *players*."""
    # Lists may be a second old.
    await asyncio.sleep(_LIST_MAX_AGE_S)
    counters = [await _counter(stage, one, players, acks) for one in goods]
    lists = await for_each(
        players, lambda player: stage.edge.get("/api/blindbox/item_cards", player.token)
    )
    cards = {card["item_card_id"]: card["status"] for cards in lists for card in cards}
    return Evidence(counters, cards)


async def _counter(
    stage: Stage, goods: OnSale, players: Sequence[Player], acks: Sequence[Ack]
) -> Counter:
    postgres, edge = stage.stores.postgres, stage.edge
    rows = _queries.list_items(postgres, pool_id=goods.pool_id)
    orders = _queries.list_orders(postgres, pool_id=goods.pool_id)
    return Counter(
        goods=goods,
        books=await read_books(stage.stores, goods.pool_id),
        rows=[Row(*row) async for row in rows],
        statuses={row["order_num"]: row["status"] async for row in orders},
        logs=await _logs(edge, goods, players, acks),
        pages=await _all_pages(edge, goods),
        daily=await edge.get("/api/blindbox/daily_prize_records", goods_id=goods.goods_id),
        box=await _box(edge, goods),
        read_at=int(time.time()),
    )


async def _logs(
    edge: Edge, goods: OnSale, players: Sequence[Player], acks: Sequence[Ack]
) -> dict[str, list[Json]]:
    """The log of each order that was answered, refused or not, as its buyer gets it."""
    tokens = {player.user_id: player.token for player in players}
    path = f"/api/blindbox/{_LOGS[goods.plan.type]}"
    wanted = {ack.wanted for ack in acks if ack.wanted.goods_id == goods.goods_id}
    orders = {one.order_num: tokens[one.user_id] for one in wanted}
    logs = await for_each(
        orders.items(), lambda order: edge.get(path, order[1], order_num=order[0])
    )
    return dict(zip(orders, logs, strict=True))


async def _all_pages(edge: Edge, goods: OnSale) -> dict[int, list[Json]]:
    if goods.plan.type != "infinite":
        return {}
    records = await _pages(edge, goods, 0)
    shang_ids = sorted({record["shang_id"] for record in records})
    of_levels = await for_each(shang_ids, lambda shang_id: _pages(edge, goods, shang_id))
    return {0: records, **dict(zip(shang_ids, of_levels, strict=True))}


async def _pages(edge: Edge, goods: OnSale, shang_id: int) -> list[Json]:
    records: list[Json] = []
    page, last_page = 0, 1
    while page < last_page:
        page += 1
        data = await edge.get(
            "/api/blindbox/infinite_shang_log",
            goods_id=goods.goods_id,
            page=page,
            page_size=_PAGE_SIZE,
            shang_id=shang_id,
        )
        records += data["data"]
        last_page = data["last_page"]
    return records


async def _box(edge: Edge, goods: OnSale) -> Json:
    listed = await edge.get("/api/blindbox/goods", type=goods.plan.type)
    (box,) = next(one["boxes"] for one in listed if one["goods_id"] == goods.goods_id)
    found: Json = box
    return found
