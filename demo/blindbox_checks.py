"""The blind boxes' verdict: what buyers were told, against Redis, Postgres and the lists."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.table import Table

from demo.blindbox import Answered, Sold
from demo.client import Json, for_each
from demo.goods import OnSale
from demo.report import Check, differences, facts_table, latency, print_sections, table
from demo.system import Books, System, queries
from services.common.draw_id import parse_draw_id
from services.common.masking import mask
from services.common.orders import (
    CARD_PREFIX,
    GoodslistType,
    OrderType,
    card_order_num,
    order_item_id,
)
from services.pool.rule.terms import UNLIMITED

_LIST_MAX_AGE_S = 1.0
_DAILY_RECORDS = 2000
_QUARTER_S = 900
_WON, _BY_A_DRAW = 1, 1  # status and source of an order item
_LOGS = {"ichiban": "prize_order_log", "infinite": "infinite_prize_order_log"}
_ORDER_TYPES = {"ichiban": OrderType.ICHIBAN, "infinite": OrderType.INFINITE}
_Problems = Iterator[str]


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
class Evidence:
    """
    What was sold of one goods, from every side; the lists as the JSON face gives them.

    Args:
        on_sale: The goods.
        books: Of its pool.
        rows: Postgres's order items.
        statuses: Order number → status in Postgres.
        logs: Order number → what its buyer is shown of it.
        pages: Level (0: all) → its winning records, newest first; of infinite goods alone.
        daily: Today's winning records, newest first.
        box: Its box, as everybody is shown it.
        read_at: When the lists were read, Unix seconds.
    """

    on_sale: OnSale
    books: Books
    rows: Sequence[Row]
    statuses: Mapping[str, str]
    logs: Mapping[str, Sequence[Json]]
    pages: Mapping[int, Sequence[Json]]
    daily: Sequence[Json]
    box: Json
    read_at: int


async def judge(system: System, sold: Sold) -> tuple[list[Evidence], list[Check]]:
    """Every check of what is there after the last order; the evidence by goods."""
    for on_sale in (sold.box, sold.infinite):
        await system.wait_until_recorded(on_sale.pool_id)
    task = system.bars.add_task("checking", total=1, note="")
    await asyncio.sleep(_LIST_MAX_AGE_S)
    evidence = [await _collect(system, sold, on_sale) for on_sale in (sold.box, sold.infinite)]
    cards = await _read_cards(system, sold)
    system.bars.advance(task)
    return evidence, checks(sold, evidence, cards)


async def _collect(system: System, sold: Sold, on_sale: OnSale) -> Evidence:
    postgres, edge, goods_id = system.stores.postgres, system.edge, on_sale.goods_id
    rows = queries.list_items(postgres, pool_id=on_sale.pool_id)
    orders = queries.list_orders(postgres, pool_id=on_sale.pool_id)
    listed = await edge.get("/api/blindbox/goods", type=on_sale.goods.type)
    (box,) = next(one["boxes"] for one in listed if one["goods_id"] == goods_id)
    return Evidence(
        on_sale,
        await system.books(on_sale.pool_id),
        rows=[Row(*row) async for row in rows],
        statuses={row["order_num"]: row["status"] async for row in orders},
        logs=await _read_logs(system, sold, on_sale),
        pages=await _read_pages(system, on_sale),
        daily=await edge.get("/api/blindbox/daily_prize_records", goods_id=goods_id),
        box=box,
        read_at=int(time.time()),
    )


async def _read_logs(system: System, sold: Sold, on_sale: OnSale) -> dict[str, Sequence[Json]]:
    """The log of each order that was answered, refused or not, as its buyer gets it."""
    tokens = {player.user_id: player.token for player in sold.players}
    path = f"/api/blindbox/{_LOGS[on_sale.goods.type]}"
    orders = list({one.order for one in sold.answered if one.order.goods_id == on_sale.goods_id})
    logs = await for_each(
        orders,
        lambda order: system.edge.get(path, tokens[order.user_id], order_num=order.order_num),
    )
    return {order.order_num: log for order, log in zip(orders, logs, strict=True)}


async def _read_pages(system: System, on_sale: OnSale) -> dict[int, Sequence[Json]]:
    async def read(shang_id: int) -> list[Json]:
        path, goods_id = "/api/blindbox/infinite_shang_log", on_sale.goods_id
        rows = system.edge.pages(path, "data", goods_id=goods_id, shang_id=shang_id)
        return [row async for row in rows]

    if on_sale.goods.type != "infinite":
        return {}
    records = await read(0)
    shang_ids = sorted({record["shang_id"] for record in records})
    return {0: records, **dict(zip(shang_ids, await for_each(shang_ids, read), strict=True))}


async def _read_cards(system: System, sold: Sold) -> dict[int, str]:
    """Item card → its status, as its owner is shown it."""
    path = "/api/blindbox/item_cards"
    lists = await for_each(sold.players, lambda player: system.edge.get(path, player.token))
    return {card["item_card_id"]: card["status"] for cards in lists for card in cards}


@dataclass(frozen=True, slots=True)
class _Told:
    """What one goods' buyers were told, and what every side says of it."""

    drawn: Sequence[Answered]
    refused: Sequence[Answered]
    seen: Evidence


def checks(sold: Sold, evidence: Sequence[Evidence], cards: Mapping[int, str]) -> list[Check]:
    """Every check; the verdict is good when none has problems. Pure."""
    every = [_told(sold, seen) for seen in evidence]
    names = {player.user_id: mask(player.username) for player in sold.players}
    codes = [item.prize_code for one in sold.answered for item in one.receipt.items]

    def of_each(check: Callable[[_Told], _Problems]) -> list[str]:
        return [problem for told in every for problem in check(told)]

    return [
        Check(
            "units = left + won for each item, in Redis and Postgres; no ledger gap",
            of_each(lambda told: map(str, told.seen.books.findings)),
        ),
        Check(
            "every order was answered; those that were refused drew nothing",
            [*(f"{name}: {why}" for name, why in sold.unanswered.items()), *of_each(_statuses)],
        ),
        Check(
            f"all {len(codes)} acknowledged items are in Postgres once, with the same outcome",
            of_each(_rows),
        ),
        Check("the box is empty, and its last ticket brought the last prize", of_each(_emptied)),
        Check("every prize code is unique", list(differences("codes", set(codes), codes))),
        Check("every order's log shows what the order gave", of_each(_logs)),
        Check(
            "the winning records show every item once: all, by level, and today's",
            of_each(lambda told: _records(told, names)),
        ),
        Check("every item card drew once", list(_cards(sold, evidence, cards))),
    ]


def _told(sold: Sold, seen: Evidence) -> _Told:
    of_goods = [one for one in sold.answered if one.order.goods_id == seen.on_sale.goods_id]
    drawn = [one for one in of_goods if not one.receipt.refusal]
    return _Told(drawn, [one for one in of_goods if one.receipt.refusal], seen)


def _statuses(told: _Told) -> _Problems:
    # A card may be refused in one window and drawn in another.
    expected = {one.order.order_num: "released" for one in told.refused}
    expected |= {one.order.order_num: "drawn" for one in told.drawn}
    return differences("orders in Postgres", expected.items(), told.seen.statuses.items())


def _rows(told: _Told) -> _Problems:
    goods = told.seen.on_sale.goods
    expected = [row for one in told.drawn for row in _expected_rows(one, goods.type)]
    return differences("items in Postgres", expected, told.seen.rows)


def _expected_rows(one: Answered, goods_type: str) -> Iterator[Row]:
    order, receipt = one.order, one.receipt
    is_card = order.order_num.startswith(CARD_PREFIX)
    for index, (item, draw_id) in enumerate(zip(receipt.items, receipt.draw_ids, strict=True)):
        yield Row(
            order.order_num,
            order.user_id,
            order.goods_id,
            receipt.order_id,
            order_item_id(receipt.order_id, index),
            item.goods_item_id,
            _goodslist_type(one, index),
            item.shang_id,
            item.prize_code,
            item.luck_no,
            OrderType.ITEM_CARD if is_card else _ORDER_TYPES[goods_type],
            _BY_A_DRAW,
            draw_id,
        )


def _goodslist_type(one: Answered, index: int) -> GoodslistType:
    is_last_prize = index == one.order.tickets
    return GoodslistType.LAST_PRIZE if is_last_prize else GoodslistType.ORDINARY


def _emptied(told: _Told) -> _Problems:
    goods, box = told.seen.on_sale.goods, told.seen.box
    is_ichiban = goods.type == "ichiban"
    expected = {
        "total": goods.tickets if is_ichiban else None,
        "left": 0 if is_ichiban else None,
        "sold_out": is_ichiban,
    }
    shown = {name: box[name] for name in expected}
    yield from differences(f"box 1 of {goods.title}", expected.items(), shown.items())
    if is_ichiban:
        sold = sum(one.order.tickets for one in told.drawn)
        last = [parse_draw_id(draw_id).seq for _, draw_id in _last_prizes(told.drawn)]
        if (sold, last) != (goods.tickets, [goods.tickets + 1]):
            yield f"{sold} of {goods.tickets} tickets were sold; the last prize came with {last}"


def _last_prizes(drawn: Sequence[Answered]) -> list[tuple[Answered, str]]:
    """The orders that brought a last prize, and the draw of each."""
    return [
        (one, one.receipt.draw_ids[-1])
        for one in drawn
        if len(one.receipt.items) > one.order.tickets
    ]


def _logs(told: _Told) -> _Problems:
    expected = {one.order.order_num: list(_expected_log(one)) for one in told.drawn}
    for order_num, log in told.seen.logs.items():
        if log != expected.get(order_num, []):
            yield f"order {order_num}: told {expected.get(order_num, [])}, shown {log}"


def _expected_log(one: Answered) -> Iterator[Json]:
    for index, item in enumerate(one.receipt.items):
        yield {
            "id": order_item_id(one.receipt.order_id, index),
            "order_id": one.receipt.order_id,
            "goodslist_title": item.title,
            "goodslist_imgurl": item.img_url,
            "goodslist_price": item.price,
            "goodslist_money": item.sc_money,
            "goodslist_type": _goodslist_type(one, index),
            "status": _WON,
            "addtime": item.draw_time,
            "prize_code": item.prize_code,
            "luck_no": item.luck_no,
        }


def _records(told: _Told, names: Mapping[int, str]) -> _Problems:
    expected = [record for one in told.drawn for record in _expected_records(one, names)]
    expected.sort(key=lambda record: parse_draw_id(record["draw_id"]).seq, reverse=True)
    for shang_id, page in told.seen.pages.items():
        of_level = [one for one in expected if shang_id in (0, one["shang_id"])]
        yield from _list_problems(f"records of level {shang_id}", of_level, page)
    daily = told.seen.daily
    today = expected[: _todays(expected, daily, told.seen.read_at)]
    yield from _list_problems("today's records", today, daily)


def _expected_records(one: Answered, names: Mapping[int, str]) -> Iterator[Json]:
    receipt = one.receipt
    for index, (item, draw_id) in enumerate(zip(receipt.items, receipt.draw_ids, strict=True)):
        yield {
            "id": order_item_id(receipt.order_id, index),
            "nickname": names[one.order.user_id],
            "shang_id": item.shang_id,
            "shang_title": item.shang_title,
            "shang_color": item.shang_color,
            "goodslist_title": item.title,
            "goodslist_imgurl": item.img_url,
            "luck_no": item.luck_no,
            "addtime": item.draw_time,
            "num": 1,
            "draw_id": draw_id,
        }


def _todays(expected: Sequence[Json], daily: Sequence[Json], read_at: int) -> int:
    """How many of *expected*, newest first, today's records may show; *read_at*: Unix seconds."""
    # It is midnight somewhere at each quarter of an hour: what is from before it need not be shown.
    listed = len(daily)
    if listed < len(expected):
        newer = daily[-1]["addtime"] if daily else read_at
        if expected[listed]["addtime"] // _QUARTER_S < newer // _QUARTER_S:
            return listed
    return min(len(expected), _DAILY_RECORDS)


def _list_problems(name: str, expected: Sequence[Json], shown: Sequence[Json]) -> _Problems:
    """The order matters."""
    if len(expected) != len(shown):
        yield f"{name}: {len(shown)} are shown, {len(expected)} were acknowledged"
    for one, other in zip(expected, shown, strict=False):
        if one != other:
            yield f"{name}: {other} is shown where {one} was acknowledged"
            return


def _cards(sold: Sold, evidence: Sequence[Evidence], statuses: Mapping[int, str]) -> _Problems:
    draws = Counter(one.order.order_num for one in sold.answered if not one.receipt.refusal)
    rows = Counter(row.order_num for seen in evidence for row in seen.rows)
    for _, card_id in sold.cards:
        name, status = card_order_num(card_id), statuses.get(card_id)
        if (draws[name], rows[name], status) != (1, 1, "used"):
            yield f"{name}: drew {draws[name]} times, {rows[name]} items recorded, and is {status}"


def print_report(console: Console, sold: Sold, evidence: Sequence[Evidence]) -> None:
    """The items of each goods, who has the last prize, the speed."""
    names = {player.user_id: mask(player.username) for player in sold.players}
    last_prizes = {
        names[one.order.user_id]: f"{one.receipt.items[-1].title}, with draw {draw_id}"
        for one, draw_id in _last_prizes(sold.answered)
    }
    sections: dict[str, RenderableType] = {
        f"{seen.on_sale.goods.title}: {seen.on_sale.goods.type}, box 1": _items(seen)
        for seen in evidence
    }
    sections["Last prize"] = facts_table(last_prizes)
    sections["Orders"] = facts_table(_speed(sold))
    print_sections(console, sections)


def _items(seen: Evidence) -> Table:
    numbers = ("units", "won", "left")
    items = table("level", "item", *numbers, numbers=numbers)
    left = seen.books.left()
    for prize, planned in zip(seen.books.facts.prizes, seen.on_sale.goods.items, strict=True):
        in_redis = _units(left[prize.prize_id]) if prize.prize_id in left else "?"
        items.add_row(planned.level, prize.name, _units(prize.units), str(prize.won), in_redis)
    return items


def _units(units: int) -> str:
    return "∞" if units == UNLIMITED else str(units)


def _speed(sold: Sold) -> dict[str, str]:
    answered, seconds = sold.answered, sold.seconds
    refused = sum(bool(one.receipt.refusal) for one in answered)
    over_grpc = sum(one.over_grpc for one in answered)
    items = sum(len(one.receipt.items) for one in answered)
    facts = {
        "total": f"{len(answered)}, {refused} refused; {over_grpc} over gRPC, "
        "the rest through Envoy",
        "items": f"{items}, {len(sold.cards)} of them for item cards",
        "rate": f"{len(answered) / seconds:.0f} orders/s in {seconds:.1f} s",
        "latency": latency([one.seconds for one in answered]),
    }
    if retried := sum(one.attempts > 1 for one in answered):
        facts["retries"] = f"{retried} orders asked again"
    return facts
