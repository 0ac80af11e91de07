"""The verdict: what the buyers were told against what every side says afterwards. Pure."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from demo.accounts import Player
from demo.boxes.doors import Ack, Item
from demo.boxes.evidence import Counter, Evidence, Row
from demo.boxes.game import Game
from demo.checks import Check
from demo.edge import Json
from services.common.draw_id import parse_draw_id
from services.common.masking import mask
from services.common.orders import (
    CARD_PREFIX,
    GoodslistType,
    OrderType,
    card_order_num,
    order_item_id,
)

_DAILY_RECORDS = 2000
_QUARTER_S = 900
_WON, _BY_A_DRAW = 1, 1  # status and source of an order item
_ORDER_TYPES = {"ichiban": OrderType.ICHIBAN, "infinite": OrderType.INFINITE}
_Problems = Iterator[str]


@dataclass(frozen=True, slots=True)
class Sale:
    """What one goods' buyers were told, and what every side says of it."""

    drawn: Sequence[Ack]
    refused: Sequence[Ack]
    counter: Counter


def judge(
    game: Game, players: Sequence[Player], cards: Sequence[int], evidence: Evidence
) -> list[Check]:
    """Every check; the verdict is good when none has problems. *cards*: all that were given."""
    names = {player.user_id: mask(player.username) for player in players}
    sales = [_sale(game.acks, counter) for counter in evidence.counters]
    items = sum(len(ack.items) for ack in game.acks)

    def of_each(check: Callable[[Sale], _Problems]) -> list[str]:
        return [problem for sale in sales for problem in check(sale)]

    return [
        Check(
            "units = left + won for each item, in Redis and Postgres; no ledger gap",
            of_each(lambda sale: map(str, sale.counter.books.findings)),
        ),
        Check(
            "every order was answered; those that were refused drew nothing",
            [*_unanswered(game), *of_each(_refused)],
        ),
        Check(
            f"all {items} acknowledged items are in Postgres once, with the same outcome",
            of_each(_rows),
        ),
        Check("the box is empty, and its last ticket brought the last prize", of_each(_emptied)),
        Check("every prize code is unique", list(_codes(game.acks))),
        Check("every order's log shows what the order gave", of_each(_logs)),
        Check(
            "the winning records show every item once: all, by level, and today's",
            of_each(lambda sale: _records(sale, names)),
        ),
        Check("every item card drew once", list(_cards(game.acks, cards, evidence))),
    ]


def _sale(acks: Sequence[Ack], counter: Counter) -> Sale:
    of_goods = [ack for ack in acks if ack.wanted.goods_id == counter.goods.goods_id]
    drawn = [ack for ack in of_goods if not ack.refusal]
    return Sale(drawn, [ack for ack in of_goods if ack.refusal], counter)


def _unanswered(game: Game) -> _Problems:
    for order_num, failure in game.unanswered.items():
        yield f"{order_num}: {failure}"


def _refused(sale: Sale) -> _Problems:
    drawn = {ack.wanted.order_num for ack in sale.drawn}
    refused = {ack.wanted.order_num for ack in sale.refused} - drawn
    expected = dict.fromkeys(drawn, "drawn") | dict.fromkeys(refused, "released")
    for order_num in sorted(expected.keys() | sale.counter.statuses.keys()):
        told, status = expected.get(order_num), sale.counter.statuses.get(order_num)
        if told != status:
            yield f"order {order_num} is {status} in Postgres, and was told to be {told}"


def _rows(sale: Sale) -> _Problems:
    expected = Tally(row for ack in sale.drawn for row in _expected_rows(sale, ack))
    found = Tally(sale.counter.rows)
    for row, times in (expected - found).items():
        yield f"{row.draw_id} of {row.order_num} is {times} times too few in Postgres: {row}"
    for row, times in (found - expected).items():
        yield f"{row.draw_id} of {row.order_num} is {times} times too often in Postgres: {row}"


def _expected_rows(sale: Sale, ack: Ack) -> Iterator[Row]:
    wanted, goods = ack.wanted, sale.counter.goods
    is_card = wanted.order_num.startswith(CARD_PREFIX)
    order_type = OrderType.ITEM_CARD if is_card else _ORDER_TYPES[goods.plan.type]
    for index, (item, draw_id) in enumerate(zip(ack.items, ack.draw_ids, strict=True)):
        yield Row(
            wanted.order_num,
            wanted.user_id,
            wanted.goods_id,
            ack.order_id,
            order_item_id(ack.order_id, index),
            item.goods_item_id,
            _goodslist_type(ack, index),
            item.shang_id,
            item.prize_code,
            item.luck_no,
            order_type,
            _BY_A_DRAW,
            draw_id,
        )


def _goodslist_type(ack: Ack, index: int) -> GoodslistType:
    is_last_prize = index == ack.wanted.tickets
    return GoodslistType.LAST_PRIZE if is_last_prize else GoodslistType.ORDINARY


def _emptied(sale: Sale) -> _Problems:
    plan, box = sale.counter.goods.plan, sale.counter.box
    is_ichiban = plan.type == "ichiban"
    expected = {
        "total": plan.tickets if is_ichiban else None,
        "left": 0 if is_ichiban else None,
        "sold_out": is_ichiban,
    }
    for name, value in expected.items():
        if box[name] != value:
            yield f"{plan.title}, box 1: {name} is {box[name]}, and should be {value}"
    if is_ichiban:
        yield from _last_prize(sale, plan.tickets)


def _last_prize(sale: Sale, tickets: int) -> _Problems:
    sold = sum(ack.wanted.tickets for ack in sale.drawn)
    if sold != tickets:
        yield f"{sold} of {tickets} tickets were sold"
    found = [last for ack in sale.drawn if (last := last_prize(ack))]
    seqs = [parse_draw_id(draw_id).seq for _, draw_id in found]
    if seqs != [tickets + 1]:
        yield f"the last prize came with the draws {seqs}, and should with {tickets + 1} alone"


def last_prize(ack: Ack) -> tuple[Item, str] | None:
    """The last prize that an order brought, and its draw; None: it did not."""
    if len(ack.items) <= ack.wanted.tickets:
        return None
    return ack.items[-1], ack.draw_ids[-1]


def _codes(acks: Sequence[Ack]) -> _Problems:
    codes = Tally(item.prize_code for ack in acks for item in ack.items)
    for code, times in codes.items():
        if times > 1:
            yield f"{code} was given {times} times"


def _logs(sale: Sale) -> _Problems:
    expected = {ack.wanted.order_num: list(_expected_log(ack)) for ack in sale.drawn}
    for order_num, log in sale.counter.logs.items():
        if log != expected.get(order_num, []):
            yield f"order {order_num}: told {expected.get(order_num, [])}, shown {log}"


def _expected_log(ack: Ack) -> Iterator[Json]:
    for index, item in enumerate(ack.items):
        yield {
            "id": order_item_id(ack.order_id, index),
            "order_id": ack.order_id,
            "goodslist_title": item.title,
            "goodslist_imgurl": item.img_url,
            "goodslist_price": item.price,
            "goodslist_money": item.sc_money,
            "goodslist_type": _goodslist_type(ack, index),
            "status": _WON,
            "addtime": item.draw_time,
            "prize_code": item.prize_code,
            "luck_no": item.luck_no,
        }


def _records(sale: Sale, names: Mapping[int, str]) -> _Problems:
    expected = [record for ack in sale.drawn for record in _expected_records(ack, names)]
    expected.sort(key=lambda record: parse_draw_id(record["draw_id"]).seq, reverse=True)
    for shang_id, page in sale.counter.pages.items():
        of_level = [one for one in expected if shang_id in (0, one["shang_id"])]
        yield from _list_problems(f"records of level {shang_id}", of_level, page)
    daily = sale.counter.daily
    today = expected[: _todays(expected, daily, sale.counter.read_at)]
    yield from _list_problems("today's records", today, daily)


def _expected_records(ack: Ack, names: Mapping[int, str]) -> Iterator[Json]:
    for index, (item, draw_id) in enumerate(zip(ack.items, ack.draw_ids, strict=True)):
        yield {
            "id": order_item_id(ack.order_id, index),
            "nickname": names[ack.wanted.user_id],
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
    if len(expected) != len(shown):
        yield f"{name}: {len(shown)} are shown, {len(expected)} were acknowledged"
    for one, other in zip(expected, shown, strict=False):
        if one != other:
            yield f"{name}: {other} is shown where {one} was acknowledged"
            return


def _cards(acks: Sequence[Ack], cards: Sequence[int], evidence: Evidence) -> _Problems:
    draws = Tally(ack.wanted.order_num for ack in acks if not ack.refusal)
    rows = Tally(row.order_num for counter in evidence.counters for row in counter.rows)
    for card_id in cards:
        name, status = card_order_num(card_id), evidence.cards.get(card_id)
        if (draws[name], rows[name], status) != (1, 1, "used"):
            yield f"{name}: drew {draws[name]} times, {rows[name]} items recorded, and is {status}"
