"""What requests may hold: each kind of bound, at its edges, and where it lies in the message."""

from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from kuji.admin.v1 import admin_pb2, goods_pb2
from kuji.auth.v1 import auth_pb2
from kuji.blindbox.v1 import blindbox_pb2, records_pb2
from kuji.draw.v1 import draw_pb2, pool_pb2
from kuji.history.v1 import history_pb2

from protos.examples import fill
from services.common.bounds import check
from services.common.errors import InvalidArgumentError

_LAST_SECOND = 253_402_300_799
OPEN_CONFIG = pool_pb2.PoolConfig(mode=pool_pb2.POOL_MODE_ODDS, status=pool_pb2.POOL_STATUS_OPEN)


def _field_of(message: Message) -> str | None:
    """The path that is told; None where all is within its bounds."""
    try:
        check(message)
    except InvalidArgumentError as error:
        return error.metadata["field"]
    return None


def _changed(kind: type[Message], **values: Any) -> Message:
    message = fill(kind(), whole=False)
    for name, value in values.items():
        if isinstance(value, Timestamp):
            getattr(message, name).CopyFrom(value)
        else:
            setattr(message, name, value)
    return message


WITHIN = [
    _changed(auth_pb2.RegisterRequest, username="a" * 32, password="赏" * 128),
    _changed(auth_pb2.RegisterRequest, email="a@b.c"),
    _changed(draw_pb2.DrawRequest, request_id=" ~" * 32, activity_id=2**63 - 1),
    _changed(admin_pb2.CreateActivityRequest, name="赏" * 100, description="赏" * 2000),
    _changed(admin_pb2.CreateActivityRequest, status="paused", cooldown_seconds=31_536_000),
    _changed(admin_pb2.CreateActivityRequest, end_time=Timestamp(seconds=_LAST_SECOND)),
    _changed(admin_pb2.CreatePrizeRequest, probability=1.0, activity_id=-1),
    _changed(admin_pb2.UpdatePrizeRequest, description=""),
    _changed(history_pb2.ListWinnersRequest, page=1, page_size=100),
    _changed(goods_pb2.CreateGoodsRequest, price="99999999.99"),
    _changed(blindbox_pb2.PlaceOrderRequest, order_num="card", num=-5),
    OPEN_CONFIG,
]
BEYOND = [
    (_changed(auth_pb2.RegisterRequest, username="ab"), "username"),
    (_changed(auth_pb2.RegisterRequest, username="a" * 33), "username"),
    (_changed(auth_pb2.RegisterRequest, username="alice\n"), "username"),
    (_changed(auth_pb2.RegisterRequest, username=""), "username"),
    (_changed(auth_pb2.RegisterRequest, password="a" + "\u0301" * 30_000), "password"),
    (_changed(auth_pb2.RegisterRequest, email="nobody"), "email"),
    (_changed(draw_pb2.DrawRequest, request_id="x" * 65), "request_id"),
    (_changed(draw_pb2.DrawRequest, request_id="赏"), "request_id"),
    (_changed(draw_pb2.DrawRequest, activity_id=-1), "activity_id"),
    (_changed(draw_pb2.DrawRequest, user_id=2**53), "user_id"),
    (_changed(admin_pb2.CreateActivityRequest, description="a\0b"), "description"),
    (_changed(admin_pb2.CreateActivityRequest, status="ended"), "status"),
    (_changed(admin_pb2.CreateActivityRequest, end_time=Timestamp(seconds=-1)), "end_time"),
    (_changed(admin_pb2.CreateActivityRequest, end_time=Timestamp(nanos=10**9)), "end_time"),
    (_changed(admin_pb2.CreatePrizeRequest, probability=1.000_001), "probability"),
    (_changed(admin_pb2.CreatePrizeRequest, probability=float("nan")), "probability"),
    (_changed(admin_pb2.UpdatePrizeRequest, name=""), "name"),
    (_changed(history_pb2.ListWinnersRequest, page=0), "page"),
    (_changed(history_pb2.ListWinnersRequest, page_size=101), "page_size"),
    (_changed(goods_pb2.CreateGoodsRequest, price="9.999"), "price"),
    (_changed(goods_pb2.CreateGoodsRequest, type=""), "type"),
    (_changed(blindbox_pb2.PlaceOrderRequest, order_num="card:1"), "order_num"),
    (_changed(blindbox_pb2.PlaceOrderRequest, count=0), "count"),
    (_changed(blindbox_pb2.PlaceOrderRequest, user_id=-5), "user_id"),
    (_changed(records_pb2.ListGoodsRequest, type="lucky bag"), "type"),
    (records_pb2.ListOrderPrizesRequest(), "order_num"),
    (records_pb2.ListInfiniteOrderPrizesRequest(order_num="x" * 65), "order_num"),
    (records_pb2.ListOrderPrizesRequest(order_num="x", user_id=-1), "user_id"),
    (records_pb2.ListInfiniteRecordsRequest(goods_id=-1), "goods_id"),
    (records_pb2.ListInfiniteRecordsRequest(goods_id=1, shang_id=-1), "shang_id"),
    (pool_pb2.PoolConfig(status=pool_pb2.POOL_STATUS_OPEN), "mode"),
    (pool_pb2.PoolConfig(mode=9, status=1), "mode"),  # type: ignore[arg-type]
    (draw_pb2.DrawBatchRequest(), "draws"),
    (draw_pb2.DrawBatchRequest(draws=[draw_pb2.BatchDraw()] * 1001), "draws"),
    (pool_pb2.InspectPoolsRequest(pool_ids=range(101)), "pool_ids"),
    (admin_pb2.UpdateActivityRequest(cleared_fields=["end_time", "name"]), "cleared_fields[1]"),
]


@pytest.mark.parametrize("message", WITHIN, ids=lambda message: message.DESCRIPTOR.name)
def test_what_lies_within_its_bounds_is_taken(message: Message) -> None:
    """The edges themselves, in characters rather than bytes, and what was left out."""
    assert _field_of(message) is None


@pytest.mark.parametrize(("message", "field"), BEYOND, ids=lambda value: str(value)[:40])
def test_what_lies_beyond_its_bounds_names_the_field(message: Message, field: str) -> None:
    """One step beyond each edge."""
    assert field == _field_of(message)


def test_path_leads_to_the_element_of_a_list() -> None:
    """A field deep within is named from the request on."""
    config = pool_pb2.PoolConfig()
    config.CopyFrom(OPEN_CONFIG)
    config.prizes.add(prize_id=1, name="first")
    config.prizes.add(prize_id=2, units=-2)
    request = pool_pb2.PublishPoolRequest(pool_id=1, version=1, config=config)
    assert "config.prizes[1].units" == _field_of(request)
    assert "config" == _field_of(pool_pb2.PublishPoolRequest(pool_id=1, version=1))


def test_elements_that_get_outcomes_of_their_own_are_not_checked_with_the_call() -> None:
    """One bad element of a batch does not spoil the batch."""
    bad = draw_pb2.BatchDraw(activity_id=-1)
    assert _field_of(draw_pb2.DrawBatchRequest(draws=[bad])) is None
    assert _field_of(draw_pb2.DrawStreamRequest(draw=bad)) is None
    assert "activity_id" == _field_of(bad)


def test_sentence_tells_what_would_fit() -> None:
    """The field, and what it may hold."""
    with pytest.raises(InvalidArgumentError, match=r"^page_size is 1 to 100\.$"):
        check(history_pb2.ListWinnersRequest(page_size=101))
    with pytest.raises(InvalidArgumentError, match=r"^username consists of letters, digits, "):
        check(auth_pb2.RegisterRequest(username="al ice", password="long enough"))
