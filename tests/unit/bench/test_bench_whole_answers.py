"""The generator of whole stacks takes no answer for a draw that is none."""

import json
from typing import Any

import pytest
from kuji.draw.v1 import draw_pb2

from tests.bench.http11 import response_in
from tests.bench.whole.faces import Players, RefusedError, draw_answer
from tests.bench.whole.jobs import WholeJob
from tests.load.answers import DrawAnswer

TOKEN = "e30.eyJzdWIiOiI3In0.x"  # of user 7
PLAYERS = Players([TOKEN])
JSON = WholeJob("json", "", "w1", "")
GRPC = WholeJob("grpc", "", "w1", "")
WIN: dict[str, Any] = {
    "draw_id": "3-9",
    "request_id": "w1-0",
    "won": True,
    "prize": {"prize_id": "5", "prize_code": "KUJI"},
    "replayed": False,
    "sold_out": False,
}


def read(**changes: Any) -> DrawAnswer | None:
    """What the generator makes of an answer that is a win but for *changes*."""
    envelope = {"status": 1, "msg": "ok", "data": WIN | changes}
    return draw_answer(JSON, 0, json.dumps(envelope).encode(), PLAYERS)


def test_win_and_miss_are_read_from_json() -> None:
    """Whose it is, which request's, which draw, and what was won."""
    assert DrawAnswer(7, "w1-0", "3-9", 5, "KUJI") == read()
    assert DrawAnswer(7, "w1-0", "3-9", 0, "") == read(won=False, prize=None)


def test_sold_out_is_no_draw() -> None:
    """Nothing of it has to be in Postgres."""
    gone = {"won": False, "draw_id": "", "prize": None, "request_id": "", "sold_out": True}
    assert read(**gone) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"replayed": True},
        {"request_id": "w1-1"},
        {"draw_id": ""},
        {"won": False},
        {"prize": None},
        {"sold_out": True},
    ],
)
def test_answer_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    """An old draw, somebody else's, a win of nothing, a draw of what is gone."""
    with pytest.raises(RefusedError):
        read(**changes)


def test_failure_is_named_by_its_reason() -> None:
    """An envelope that tells of a failure is no answer."""
    envelope = {"status": 0, "msg": "", "reason": "COOLDOWN", "data": None}
    with pytest.raises(RefusedError, match="COOLDOWN"):
        draw_answer(JSON, 0, json.dumps(envelope).encode(), PLAYERS)


def test_win_is_read_from_grpc() -> None:
    """The message says the same as the JSON."""
    prize = draw_pb2.Prize(prize_id=5, prize_code="KUJI")
    result = draw_pb2.DrawResult(draw_id="3-9", request_id="w1-0", won=True, prize=prize)
    message = draw_pb2.DrawResponse(result=result).SerializeToString()
    assert DrawAnswer(7, "w1-0", "3-9", 5, "KUJI") == draw_answer(GRPC, 0, message, PLAYERS)


@pytest.mark.parametrize(
    "received",
    [
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length:5\r\n\r\nhello",
        b"HTTP/1.1 429 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
)
def test_response_is_there_once_all_of_it_has_come(received: bytes) -> None:
    """Of a told length, or in chunks: nothing is taken for it before its last byte."""
    assert {None} == {response_in(received[:length]) for length in range(len(received))}
    assert (429, b"hello") == response_in(received)
