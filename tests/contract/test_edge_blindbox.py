"""Blind boxes at the edge: what the clients of the old system rely on, to the letter."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kuji.blindbox.v1 import blindbox_pb2, records_pb2

from tests.contract.edge_rig import Rig
from tests.contract.test_edge_access import ROUTES
from tests.contract.test_edge_envelope import data_of

PACKAGE = "kuji.blindbox.v1."
BLIND_BOX = {route.rpc.name: route for route in ROUTES if route.rpc.full_name.startswith(PACKAGE)}
EXAMPLES = json.loads(Path(__file__).with_name("blindbox_examples.json").read_text())

CARD_DRAW = "/api/blindbox/item_card_draw"
DAILY = "/api/blindbox/daily_prize_records?goods_id=31"
GOODS = "/api/blindbox/goods"

# The old clients' rows, requirements B: JSON types by name. "0.00" is money.
ORDER_RESULT = {
    "id": int,
    "order_id": int,
    "goodslist_title": str,
    "goodslist_imgurl": str,
    "goodslist_price": "0.00",
    "goodslist_money": "0.00",
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
}
DRAW_RESULT = {
    "goods_item_id": int,
    "title": str,
    "img_url": str,
    "shang_id": int,
    "shang_title": str,
    "shang_color": str,
    "price": "0.00",
    "sc_money": "0.00",
    "prize_code": str,
    "luck_no": int,
    "draw_time": int,
}
PROBABILITY = {
    "goods_item_id": int,
    "title": str,
    "surplus_stock": int | None,
    "probability": int | float,
    "weight": int,
}


def _fits(value: Any, wanted: Any) -> bool:
    if wanted == "0.00":
        return isinstance(value, str) and bool(re.fullmatch(r"\d+\.\d\d", value))
    return isinstance(value, wanted) and not isinstance(value, bool)


def _strictly(value: Any) -> str:
    """*value* as text, so that 1, 1.0, true and "1" are four things."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _message(rpc: Any, data: Any) -> Message:
    """The answer of *rpc* whose `data` is *data*."""
    body = rpc.GetOptions().Extensions[annotations_pb2.http].response_body
    answer: Message = message_factory.GetMessageClass(rpc.output_type)()
    return json_format.ParseDict({body: data} if body else data, answer)


async def _call_example(rig: Rig, rpc: str) -> Any:
    """The response to the recorded call of *rpc*, its service answering what is recorded."""
    example = EXAMPLES[rpc]
    rig.script.answer(rpc, _message(BLIND_BOX[rpc].rpc, example["data"]))
    verb, path = example["call"].split(" ")
    options = {"json": example["request"]} if verb == "POST" else {}
    return await rig.call(verb, path, example["role"], **options)


def test_every_route_has_an_example() -> None:
    """Nothing that the old clients call is left out below."""
    assert BLIND_BOX.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("rpc", EXAMPLES)
async def test_answer_is_as_recorded(rig: Rig, rpc: str) -> None:
    """P9: each answer has its recorded shape, to the JSON type of every value."""
    response = await _call_example(rig, rpc)
    recorded = {"status": 1, "msg": "ok", "data": EXAMPLES[rpc]["data"]}
    assert (200, _strictly(recorded)) == (response.status_code, _strictly(response.json()))


@pytest.mark.parametrize("rpc", EXAMPLES)
async def test_parameters_reach_the_service_under_their_names(rig: Rig, rpc: str) -> None:
    """What a client sends, in the query, the path or the body, is what the service gets."""
    await _call_example(rig, rpc)
    request = rig.script.requests[-1][1]
    expected = json_format.ParseDict(EXAMPLES[rpc]["request"], type(request)())
    assert expected == request


def _rows(rpc: str, *path: str) -> Any:
    rows = EXAMPLES[rpc]["data"]
    for name in path:
        rows = rows[name]
    return rows


@pytest.mark.parametrize(
    ("rows", "table"),
    [
        pytest.param(_rows("ListOrderPrizes"), ORDER_RESULT, id="ichiban order"),
        pytest.param(_rows("ListInfiniteOrderPrizes"), ORDER_RESULT, id="infinite order"),
        pytest.param(_rows("PlaceOrder", "results"), DRAW_RESULT, id="draw"),
        pytest.param(_rows("CalculateProbabilities"), PROBABILITY, id="probabilities"),
    ],
)
def test_row_has_the_fields_of_its_table_and_no_other(
    rows: list[dict[str, Any]], table: dict[str, Any]
) -> None:
    """Names and JSON types are those of requirements B."""
    for row in rows:
        assert table.keys() == row.keys()
        assert [] == [name for name, wanted in table.items() if not _fits(row[name], wanted)]


@pytest.mark.parametrize(
    ("rows", "table"),
    [
        pytest.param(_rows("ListInfiniteRecords", "data"), WINNING_RECORD, id="infinite records"),
        pytest.param(_rows("ListDailyRecords"), WINNING_RECORD, id="daily records"),
        pytest.param(
            [_rows("DrawWithItemCard")], DRAW_RESULT | {"order_id": int}, id="item card draw"
        ),
    ],
)
def test_row_has_at_least_the_fields_of_its_table(
    rows: list[dict[str, Any]], table: dict[str, Any]
) -> None:
    """These rows may carry more, for newer clients."""
    for row in rows:
        assert [] == [name for name, wanted in table.items() if not _fits(row.get(name), wanted)]


@pytest.mark.parametrize("rpc", [name for name in EXAMPLES if isinstance(_rows(name), list)])
async def test_empty_list_is_an_empty_list(rig: Rig, rpc: str) -> None:
    """No row is [], never null or an object."""
    rig.script.answer(rpc, message_factory.GetMessageClass(BLIND_BOX[rpc].rpc.output_type)())
    verb, path = EXAMPLES[rpc]["call"].split(" ")
    response = await rig.call(verb, path, EXAMPLES[rpc]["role"])
    assert {"status": 1, "msg": "ok", "data": []} == response.json()


async def test_empty_page_of_records_has_its_shape(rig: Rig) -> None:
    """Without a row, the list within `data` is there, and so is the last page."""
    rig.script.answer("ListInfiniteRecords", records_pb2.ListInfiniteRecordsResponse(last_page=1))
    response = await rig.call("GET", "/api/blindbox/infinite_shang_log?goods_id=32")
    assert {"data": [], "last_page": 1} == response.json()["data"]


JSON_LIKE = ['"', "\\", ":", ",", "{", "}", "[", "]", "5", "\n", "赏", "goods_id", '"goods_id":"5"']
JSON_LIKE += ['"stock":null', '","left":"7', '"sold_out":', 'weight":"', '":"', '\\":"6"', "null"]
texts = st.lists(st.sampled_from(JSON_LIKE), max_size=8).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)
ids = st.integers(-(2**53), 2**53)
stocks = st.none() | st.integers(0, 10**9)
items = st.builds(
    records_pb2.Item, goods_item_id=ids, title=texts, price=texts, stock=stocks, weight=stocks
)
boxes = st.builds(records_pb2.Box, total=stocks, left=stocks, pool_id=ids, sold_out=st.booleans())
goods = st.builds(
    records_pb2.Goods,
    goods_id=ids,
    title=texts,
    type=texts,
    image_url=texts,
    items=st.lists(items, max_size=3),
    boxes=st.lists(boxes, max_size=3),
)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example sets its answer
)
@given(listed=st.lists(goods, max_size=3))
async def test_texts_and_nulls_survive_what_is_done_to_numbers(
    rig: Rig, listed: list[records_pb2.Goods]
) -> None:
    """P9: whatever texts look like, they arrive unchanged; numbers are numbers, absence is null."""
    answer = records_pb2.ListGoodsResponse(goods=listed)
    rig.script.answer("ListGoods", answer)
    data = (await rig.call("GET", GOODS)).json()["data"]
    assert _strictly(data_of(BLIND_BOX["ListGoods"].rpc, answer)) == _strictly(data)


def _record(number: int) -> records_pb2.WinningRecord:
    return records_pb2.WinningRecord(
        id=number,
        nickname="a***e",
        shang_id=41,
        goodslist_title=f"Lantern {number} " + "赏" * 80,
        goodslist_imgurl="https://img.example/" + "x" * 200,
        luck_no=number,
        addtime=1_764_061_200,
    )


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_large_answer_arrives_whole(rig: Rig, encoding: str) -> None:
    """The longest list, 2000 rows of long texts, comes through every part of the edge."""
    answer = records_pb2.ListDailyRecordsResponse(records=map(_record, range(2000)))
    rig.script.answer("ListDailyRecords", answer)
    async with rig.http.stream("GET", DAILY, headers={"accept-encoding": encoding}) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])
    assert encoding == response.headers.get("content-encoding", "identity")
    content = gzip.decompress(raw) if encoding == "gzip" else raw
    assert len(content) > 2**20  # what Envoy holds unless told otherwise
    assert data_of(BLIND_BOX["ListDailyRecords"].rpc, answer) == json.loads(content)["data"]


async def test_card_that_draws_nothing_is_null(rig: Rig) -> None:
    """`data` of an item card draw is one object or null."""
    rig.script.answer("DrawWithItemCard", blindbox_pb2.DrawWithItemCardResponse())
    response = await rig.call("POST", CARD_DRAW, "user", json={})
    assert {"status": 1, "msg": "ok", "data": None} == response.json()
