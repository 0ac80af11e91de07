"""JSON that a service writes by itself is what the edge would make of its answer."""

import json
from typing import Any

import pytest
from google.api import httpbody_pb2
from google.protobuf import json_format, timestamp_pb2
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2

from services.common.contract import is_nullable
from services.common.enveloped import ENVELOPED, enveloper_of, object_writer

_DRAW = draw_pb2.DESCRIPTOR.services_by_name["DrawService"].methods_by_name["Draw"]
_INT64 = st.integers(-(2**63), 2**63 - 1)
_TEXT = st.text(st.characters(codec="utf-8"))
_MOMENT = st.builds(
    timestamp_pb2.Timestamp,
    seconds=st.integers(-62_135_596_800, 253_402_300_799),
    nanos=st.one_of(
        st.just(0),
        st.integers(0, 999).map(lambda ms: ms * 1_000_000),
        st.integers(0, 999_999).map(lambda us: us * 1000),
        st.integers(0, 999_999_999),
    ),
)
_PRIZE = st.builds(draw_pb2.Prize, prize_id=_INT64, name=_TEXT, image_url=_TEXT, prize_code=_TEXT)
_RESULT = st.builds(
    draw_pb2.DrawResult,
    draw_id=_TEXT,
    won=st.booleans(),
    prize=st.none() | _PRIZE,
    odds=st.floats(),
    drawn_at=_MOMENT,
    replayed=st.booleans(),
    draws_left=st.none() | st.integers(-(2**31), 2**31 - 1),
    next_draw_at=st.none() | _MOMENT,
    request_id=_TEXT,
    pool_version=_INT64,
    odds_weight=_INT64,
    odds_total=_INT64,
    activity_id=_INT64,
    ledger_link=_TEXT,
    sold_out=st.booleans(),
)


def _by_protobuf(message: Message) -> dict[str, Any]:
    """What protobuf's own printer says, with null for what is unset and nullable."""
    found = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for field in message.DESCRIPTOR.fields:
        if is_nullable(field):
            found.setdefault(field.name, None)
    return found


@settings(max_examples=500, derandomize=True, deadline=None)
@given(_RESULT)
def test_answer_is_what_protobuf_prints(result: draw_pb2.DrawResult) -> None:
    """Every field of a draw, whatever it holds; 64-bit integers as texts."""
    body = httpbody_pb2.HttpBody.FromString(
        enveloper_of(_DRAW)(draw_pb2.DrawResponse(result=result))
    )
    assert body.content_type == "application/json"
    answer = json.loads(body.data)
    assert {"status": 1, "msg": "ok", "data": _by_protobuf(result)} == answer


def test_answer_without_a_result_is_null() -> None:
    """As the edge has it."""
    body = httpbody_pb2.HttpBody.FromString(enveloper_of(_DRAW)(draw_pb2.DrawResponse()))
    assert json.loads(body.data) == {"status": 1, "msg": "ok", "data": None}


@pytest.mark.parametrize(
    ("odds", "text"), [(1.0, "1"), (0.1, "0.1"), (1 / 3, "0.33333333333333331"), (1e-9, "1e-09")]
)
def test_numbers_are_short_and_exact(odds: float, text: str) -> None:
    """Fifteen digits, where they say the same; else seventeen, as Envoy prints them."""
    assert f'"odds":{text},' in object_writer(draw_pb2.DrawResult.DESCRIPTOR)(
        draw_pb2.DrawResult(odds=odds)
    )


def test_message_that_cannot_be_written_is_refused_at_the_start() -> None:
    """Lists are for the edge."""
    with pytest.raises(TypeError, match="winners"):
        object_writer(history_pb2.ListWinnersResponse.DESCRIPTOR)


def test_what_is_written_by_services_is_there() -> None:
    """By its full name."""
    assert {_DRAW.full_name} == ENVELOPED
