"""The verdict of the demo's blind boxes."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from demo.blindbox import Answered, Item, Order, Receipt, Sold
from demo.blindbox_checks import Evidence, Row, checks
from demo.client import Player
from demo.goods import Goods, GoodsItem, OnSale
from demo.system import Books
from services.common.orders import order_item_id
from services.pool.books.facts import Flight, PoolFacts, PoolRow, Tally
from services.pool.books.findings import Finding, Kind

_MIDNIGHT = 1_800_000_000 // 86_400 * 86_400
_NOW = _MIDNIGHT + 9 * 60

PLAYERS = [Player(1, "alice", "t1"), Player(2, "bob", "t2")]

# Goods 30 in pool 3: a box of 3 tickets and a last prize. alice's order "a" of 2, bob's order "b"
# of 2, refused, and his order "c" of 1, with the last prize. Goods 40 in pool 4: infinite; alice's
# order "i" of 1 and bob's card 9, used from two windows.
_ICHIBAN = OnSale(
    Goods(
        "A box",
        "ichiban",
        "1.00",
        [GoodsItem("A", "Mug", 3), GoodsItem("Last", "Lamp", 1, is_last_prize=True)],
    ),
    30,
    3,
)
_INFINITE = OnSale(Goods("Caps", "infinite", "1.00", [GoodsItem("B", "Pin", None, 5)]), 40, 4)


def _item(shang_id: int, code: str, luck_no: int = 1, drawn_at: int = _NOW) -> Item:
    title = {1: "Mug", 2: "Lamp", 3: "Pin"}[shang_id]
    names = (f"{title}.png", shang_id, f"level {shang_id}", "#c0392b")
    return Item(shang_id + 70, title, *names, "30.00", "2.50", code, luck_no, drawn_at)


def _answered(order: Order, order_id: int, items: list[Item], *draw_ids: str) -> Answered:
    receipt = Receipt("" if order_id else "SOLD_OUT", order_id, tuple(items), draw_ids)
    return Answered(order, receipt, False, 1, 0.1)


ANSWERS = [
    _answered(Order("a", 1, 30, 2), 5, [_item(1, "a1", 3), _item(1, "a2", 2)], "3-1", "3-2"),
    _answered(Order("b", 2, 30, 2), 0, []),
    _answered(Order("c", 2, 30, 1), 6, [_item(1, "c1"), _item(2, "c2")], "3-3", "3-4"),
    _answered(Order("i", 1, 40, 1), 7, [_item(3, "i1", 5, _NOW + 1)], "4-1"),
    _answered(Order("card:9", 2, 40, 1), 8, [_item(3, "k1", 2, _NOW + 2)], "4-2"),
    _answered(Order("card:9", 2, 40, 1), 0, []),
]


def _sold(answers: list[Answered] | None = None) -> Sold:
    answered = list(ANSWERS if answers is None else answers)
    return Sold(_ICHIBAN, _INFINITE, PLAYERS, [(PLAYERS[1], 9)], answered)


def _row(one: Answered, index: int, order_type: int) -> Row:
    order, item = one.order, one.receipt.items[index]
    return Row(
        order.order_num,
        order.user_id,
        order.goods_id,
        one.receipt.order_id,
        order_item_id(one.receipt.order_id, index),
        item.goods_item_id,
        2 if index == order.tickets else 1,
        item.shang_id,
        item.prize_code,
        item.luck_no,
        order_type,
        1,
        one.receipt.draw_ids[index],
    )


def _log(one: Answered) -> list[dict[str, Any]]:
    return [
        {
            "id": order_item_id(one.receipt.order_id, index),
            "order_id": one.receipt.order_id,
            "goodslist_title": item.title,
            "goodslist_imgurl": item.img_url,
            "goodslist_price": "30.00",
            "goodslist_money": "2.50",
            "goodslist_type": 2 if index == one.order.tickets else 1,
            "status": 1,
            "addtime": item.draw_time,
            "prize_code": item.prize_code,
            "luck_no": item.luck_no,
        }
        for index, item in enumerate(one.receipt.items)
    ]


def _record(one: Answered, index: int) -> dict[str, Any]:
    item = one.receipt.items[index]
    return {
        "id": order_item_id(one.receipt.order_id, index),
        "nickname": {1: "a***e", 2: "b***b"}[one.order.user_id],
        "shang_id": item.shang_id,
        "shang_title": item.shang_title,
        "shang_color": item.shang_color,
        "goodslist_title": item.title,
        "goodslist_imgurl": item.img_url,
        "luck_no": item.luck_no,
        "addtime": item.draw_time,
        "num": 1,
        "draw_id": one.receipt.draw_ids[index],
    }


def _books(pool_id: int, findings: list[Finding]) -> Books:
    row = PoolRow(pool_id, "A box, box 1", 1, 3, 1, 3, 2, 2, "", 30, 1)
    facts = PoolFacts(row, [], Tally(3, 2, 2, 0, 2, 2), [], [], None, Flight(3))
    return Books(facts, findings)


OF_A, _, OF_C, OF_I, OF_CARD, _ = ANSWERS
BOX = Evidence(
    on_sale=_ICHIBAN,
    books=_books(3, []),
    rows=[_row(OF_A, 0, 1), _row(OF_A, 1, 1), _row(OF_C, 0, 1), _row(OF_C, 1, 1)],
    statuses={"a": "drawn", "b": "released", "c": "drawn"},
    logs={"a": _log(OF_A), "b": [], "c": _log(OF_C)},
    pages={},
    daily=[_record(OF_C, 1), _record(OF_C, 0), _record(OF_A, 1), _record(OF_A, 0)],
    box={"num": 1, "total": 3, "left": 0, "sold_out": True},
    read_at=_NOW + 9,
)
CAPSULES = Evidence(
    on_sale=_INFINITE,
    books=_books(4, []),
    rows=[_row(OF_I, 0, 2), _row(OF_CARD, 0, 3)],
    statuses={"i": "drawn", "card:9": "drawn"},
    logs={"i": _log(OF_I), "card:9": _log(OF_CARD)},
    pages={0: [_record(OF_CARD, 0), _record(OF_I, 0)], 3: [_record(OF_CARD, 0), _record(OF_I, 0)]},
    daily=[_record(OF_CARD, 0), _record(OF_I, 0)],
    box={"num": 1, "total": None, "left": None, "sold_out": False},
    read_at=_NOW + 9,
)
CARDS = {9: "used"}


def _broken(
    sold: Sold | None = None,
    box: Evidence = BOX,
    capsules: Evidence = CAPSULES,
    cards: dict[int, str] = CARDS,
) -> set[int]:
    """The places of the checks that have problems."""
    made = enumerate(checks(sold or _sold(), [box, capsules], cards))
    return {place for place, check in made if check.problems}


BOOKS, ANSWERED, ROWS, EMPTIED, CODES, LOGS, RECORDS, CARDS_USED = range(8)


def test_verdict_is_good_when_every_side_agrees() -> None:
    """No problem is made up."""
    assert set() == _broken()


def _box(**changes: Any) -> dict[str, Any]:
    return {"box": dataclasses.replace(BOX, **changes)}


def _capsules(**changes: Any) -> dict[str, Any]:
    return {"capsules": dataclasses.replace(CAPSULES, **changes)}


def _with(rows: Iterable[Any], change: Callable[[list[Any]], object]) -> list[Any]:
    changed = list(rows)
    change(changed)
    return changed


def _other(record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**record, **fields}


CHANGES: list[tuple[str, dict[str, Any], set[int]]] = [
    (
        "the books do not balance",
        _box(books=_books(3, [Finding(Kind.STOCK, 3, 5, -1, "one is missing")])),
        {BOOKS},
    ),
    (
        "a refused order drew",
        _box(statuses={"a": "drawn", "b": "drawn", "c": "drawn"}),
        {ANSWERED},
    ),
    ("an order is stuck", _box(statuses={**BOX.statuses, "x": "reserved"}), {ANSWERED}),
    ("an order is gone", _box(statuses={"a": "drawn", "b": "released"}), {ANSWERED}),
    ("an item is missing", _box(rows=_with(BOX.rows, lambda rows: rows.pop(1))), {ROWS}),
    ("an item is there twice", _box(rows=[*BOX.rows, BOX.rows[0]]), {ROWS}),
    (
        "an item has another code",
        _box(rows=[BOX.rows[0]._replace(prize_code="z"), *BOX.rows[1:]]),
        {ROWS},
    ),
    (
        "an item is another one",
        _box(rows=[BOX.rows[0]._replace(goods_item_id=1), *BOX.rows[1:]]),
        {ROWS},
    ),
    (
        "an item has no order type",
        _capsules(rows=[CAPSULES.rows[0], CAPSULES.rows[1]._replace(order_type=2)]),
        {ROWS},
    ),
    ("a ticket is left", _box(box={**BOX.box, "left": 1, "sold_out": False}), {EMPTIED}),
    ("infinite goods are sold out", _capsules(box=BOX.box), {EMPTIED}),
    (
        "a log lacks an item",
        _box(logs={**BOX.logs, "a": _log(OF_A)[:1]}),
        {LOGS},
    ),
    ("a refused order has a log", _box(logs={**BOX.logs, "b": _log(OF_A)}), {LOGS}),
    (
        "a log shows a number as a text",
        _box(logs={**BOX.logs, "a": [_other(_log(OF_A)[0], order_id="5"), _log(OF_A)[1]]}),
        {LOGS},
    ),
    (
        "a record is missing",
        _capsules(pages={**CAPSULES.pages, 0: CAPSULES.pages[0][:1]}),
        {RECORDS},
    ),
    (
        "records are not newest first",
        _capsules(pages={**CAPSULES.pages, 3: CAPSULES.pages[3][::-1]}),
        {RECORDS},
    ),
    (
        "a record shows the whole name",
        _box(daily=[_other(BOX.daily[0], nickname="bob"), *BOX.daily[1:]]),
        {RECORDS},
    ),
    ("today's records lack one", _box(daily=BOX.daily[:-1]), {RECORDS}),
    ("a card is shown as unused", {"cards": {9: "unused"}}, {CARDS_USED}),
    ("a card is gone", {"cards": {}}, {CARDS_USED}),
]


@pytest.mark.parametrize(
    ("changes", "expected"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_verdict_fails_the_right_check_when(changes: dict[str, Any], expected: set[int]) -> None:
    """Each difference breaks the promise that it belongs to, and no other."""
    assert expected == _broken(**changes)


def test_verdict_fails_when_an_order_was_never_answered() -> None:
    """A buyer who was left without an answer is a failure."""
    sold = _sold()
    sold.unanswered["d"] = "TimeoutError()"
    assert {ANSWERED} == _broken(sold)


def test_verdict_fails_when_a_prize_code_was_given_twice() -> None:
    """Whoever redeems by it must be one."""
    items = (OF_I.receipt.items[0]._replace(prize_code="a1"),)
    twice = OF_I._replace(receipt=OF_I.receipt._replace(items=items))
    sold = _sold([twice if one is OF_I else one for one in ANSWERS])
    assert CODES in _broken(sold)


def test_verdict_fails_when_a_card_drew_twice() -> None:
    """Both windows were given an item."""
    again = _answered(Order("card:9", 2, 40, 1), 8, [_item(3, "k2", 2, _NOW + 3)], "4-3")
    assert CARDS_USED in _broken(_sold([*ANSWERS[:-1], again]))


_LAMP = _item(2, "c3")
_NO_LAST_PRIZE = _answered(OF_C.order, 6, [OF_C.receipt.items[0]], "3-3")
_EARLY = _answered(OF_C.order, 6, [OF_C.receipt.items[0], _LAMP], "3-2", "3-3")
_ONE_MORE = _answered(OF_A.order, 5, [*OF_A.receipt.items, _LAMP], "3-1", "3-2", "3-5")


@pytest.mark.parametrize(
    "answers",
    [[OF_A, _NO_LAST_PRIZE], [OF_A, _EARLY], [_ONE_MORE, OF_C], [OF_A, OF_A, OF_C]],
    ids=["no last prize", "with another ticket", "two last prizes", "a ticket too many"],
)
def test_verdict_fails_when_the_box_was_not_sold_as_it_must(answers: list[Answered]) -> None:
    """Each ticket once, and the one last prize right behind the last of them."""
    assert EMPTIED in _broken(_sold(answers))


@pytest.mark.parametrize(
    ("drawn_at", "listed", "is_broken"),
    [
        (_NOW - 9, 1, True),  # it is today's, and not shown
        (_MIDNIGHT - 1, 1, False),  # it was yesterday somewhere
        (_MIDNIGHT - 1, 2, False),  # it was today somewhere else
        (_MIDNIGHT - 1, 0, True),  # the other one is today's everywhere
    ],
)
def test_verdict_wants_all_records_since_midnight_somewhere(
    drawn_at: int, listed: int, is_broken: bool
) -> None:
    """A demo around midnight is judged by what must be shown whatever the time zone."""
    order = _answered(Order("i", 1, 40, 1), 7, [_item(3, "i1", 5, drawn_at)], "4-1")
    records = [_record(OF_CARD, 0), _record(order, 0)]
    capsules = dataclasses.replace(
        CAPSULES,
        logs={**CAPSULES.logs, "i": _log(order)},
        pages={0: records},
        daily=records[:listed],
    )
    sold = _sold([order if one is OF_I else one for one in ANSWERS])
    assert is_broken == (RECORDS in _broken(sold, capsules=capsules))
