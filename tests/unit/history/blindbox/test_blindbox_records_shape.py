"""The old clients' tables: names and JSON types of what the read side answers."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from kuji.blindbox.v1 import records_pb2 as pb

from services.history.blindbox.cards import OwnedCard
from services.history.blindbox.goods import ListedBox, ListedGoods, ListedItem, ListedShang
from services.history.blindbox.messages import (
    daily_records_message,
    goods_message,
    item_cards_message,
    order_prize_message,
    records_page_message,
)
from services.history.blindbox.orders import OrderPrize
from services.history.blindbox.records import RecordPage, WinningRecord

ORDER_PRIZE = {
    "id": int,
    "order_id": int,
    "goodslist_title": str,
    "goodslist_imgurl": str,
    "goodslist_price": "money",
    "goodslist_money": "money",
    "goodslist_type": int,
    "status": int,
    "addtime": int,
    "prize_code": str,
    "luck_no": int,
}
WINNING_RECORD = {
    "id": int,
    "nickname": str,
    "shang_id": int,
    "shang_title": str,
    "shang_color": str,
    "goodslist_title": str,
    "goodslist_imgurl": str,
    "luck_no": int,
    "addtime": int,
    "num": int,
    "draw_id": str,
}

exact = st.integers(0, (1 << 53) - 1)
ms = st.integers(0, 253_402_300_799_999)
text = st.text(max_size=30)
amount = st.decimals(0, 99_999_999, places=2)
small = st.integers(0, 100)
order_prizes = st.builds(
    OrderPrize, exact, exact, text, text, amount, amount, small, small, ms, text, exact
)
winning_records = st.builds(
    WinningRecord, exact, text, exact, text, text, text, text, exact, ms, small, exact, exact
)
items = st.builds(
    ListedItem,
    exact,
    exact,
    text,
    text,
    amount,
    amount,
    st.none() | exact,
    st.none() | exact,
    st.booleans(),
)
shangs = st.builds(ListedShang, exact, text, text, small)
boxes = st.builds(ListedBox, small, st.none() | exact, st.none() | exact, exact, text)
goods = st.builds(
    ListedGoods,
    exact,
    text,
    text,
    amount,
    text,
    small,
    st.lists(shangs, max_size=3),
    st.lists(items, max_size=3),
    st.lists(boxes, max_size=3),
)
cards = st.builds(
    OwnedCard,
    exact,
    st.none() | exact,
    st.datetimes(datetime(1970, 1, 2)).map(  # noqa: DTZ001
        lambda moment: moment.replace(tzinfo=UTC)
    ),
    text,
)
every_answer = st.one_of(
    st.lists(goods, max_size=3).map(goods_message),
    st.lists(winning_records, max_size=3).map(daily_records_message),
    st.builds(RecordPage, st.lists(winning_records, max_size=3), small).map(records_page_message),
    st.lists(cards, max_size=3).map(item_cards_message),
    st.lists(order_prizes, max_size=3).map(
        lambda prizes: pb.ListOrderPrizesResponse(prizes=map(order_prize_message, prizes))
    ),
)
a_hundred = settings(max_examples=150, deadline=None, derandomize=True)


def as_json(message: Message) -> Any:
    """*message* as the edge shows it: every field, and 64-bit integers as numbers."""
    return json.loads(
        json_format.MessageToJson(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        ),
        object_hook=lambda found: _unquoted(found, message.DESCRIPTOR),
    )


def _unquoted(found: dict[str, Any], root: Any) -> dict[str, Any]:
    names = _integer_names(root)
    return {
        name: int(value) if name in names and isinstance(value, str) else value
        for name, value in found.items()
    }


def _integer_names(descriptor: Any) -> set[str]:
    names: set[str] = set()
    for field in descriptor.fields:
        if field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_INT32):
            names.add(field.name)
        if field.message_type is not None:
            names |= _integer_names(field.message_type)
    return names


def assert_shaped(table: dict[str, Any], row: dict[str, Any]) -> None:
    """*row* has the fields of *table* and no others, of its types."""
    assert table.keys() == row.keys()
    for name, kind in table.items():
        if kind == "money":
            assert re.fullmatch(r"\d+\.\d\d", row[name])
        else:
            assert kind is type(row[name]), name


@a_hundred
@given(order_prizes)
def test_order_result_has_the_fields_of_the_old_clients(prize: OrderPrize) -> None:
    """P9: nothing missing, nothing extra; numbers are numbers, money has two decimals."""
    row = as_json(order_prize_message(prize))
    assert_shaped(ORDER_PRIZE, row)
    assert (prize.price, prize.drawn_ms // 1000) == (
        Decimal(row["goodslist_price"]),
        row["addtime"],
    )


@a_hundred
@given(st.lists(winning_records, max_size=4), small)
def test_winning_records_have_the_fields_of_the_old_clients(
    records: list[WinningRecord], last_page: int
) -> None:
    """P9: {data, last_page} of the infinite list and the list of a day have the same rows."""
    page = as_json(records_page_message(RecordPage(records, last_page)))
    assert ({"data", "last_page"}, int) == (set(page), type(page["last_page"]))
    day = as_json(daily_records_message(records))["records"]
    assert page["data"] == day
    for row in day:
        assert_shaped(WINNING_RECORD, row)


@a_hundred
@given(every_answer)
def test_every_name_is_snake_case(answer: Message) -> None:
    """P9: all names of all answers, however deep; money everywhere a string with two decimals."""
    _check_names(as_json(answer))


def _check_names(value: Any) -> None:
    if isinstance(value, list):
        for one in value:
            _check_names(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            assert re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
            if name in ("price", "sc_money"):
                assert re.fullmatch(r"\d+\.\d\d", one)
            _check_names(one)
