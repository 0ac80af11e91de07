"""A result that the draw service writes as JSON is what it would answer by a message."""

import json

from google.api import httpbody_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from kuji.draw.v1 import draw_pb2

from services.common.enveloped import enveloper_of
from services.draw.lottery.results import DrawResult
from services.draw.lottery.servicer import written, written_enveloped
from services.pool.won_prize import WonPrize

_DRAW = draw_pb2.DESCRIPTOR.services_by_name["DrawService"].methods_by_name["Draw"]
_BY_MESSAGE = enveloper_of(_DRAW)
_ID = st.integers(1, 2**53)
_TEXT = st.text(st.characters(codec="utf-8"))
_MS = st.integers(1, 253_402_300_799_999)
_TOTAL = 10**9
_RESULT = st.builds(
    DrawResult,
    pool_id=_ID,
    seq=st.just(0) | _ID,
    activity_id=_ID,
    request_id=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=64),
    prize=st.none() | st.builds(WonPrize, _ID, _TEXT, _TEXT, _TEXT),
    weight=st.integers(0, _TOTAL),
    total=st.just(_TOTAL) | st.integers(_TOTAL, 2**53),
    drawn_ms=_MS,
    version=_ID,
    replayed=st.booleans(),
    draws_left=st.just(-1) | st.integers(0, 2**31 - 1),
    next_ms=st.just(0) | _MS,
    ledger_link=st.text("0123456789abcdef", min_size=40, max_size=40) | st.just(""),
)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(_RESULT)
def test_result_is_written_as_its_message_is(result: DrawResult) -> None:
    """Every field: misses and wins, repeats, quotas, what is sold out."""
    by_message = _BY_MESSAGE(draw_pb2.DrawResponse.FromString(written(result)))
    expected = httpbody_pb2.HttpBody.FromString(by_message)
    found = httpbody_pb2.HttpBody.FromString(written_enveloped(result))
    assert expected.content_type == found.content_type
    assert json.loads(expected.data) == json.loads(found.data)
