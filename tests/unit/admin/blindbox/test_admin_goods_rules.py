"""Which items goods may have, how many boxes, and the configuration that the engine gets."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from kuji.draw.v1 import pool_pb2

from services.admin.blindbox.boxes import check_opening
from services.admin.blindbox.items import ItemChange, check_last_prize, check_room, check_terms
from services.admin.blindbox.models import (
    Box,
    BoxPrize,
    Goods,
    GoodsTerms,
    GoodsType,
    Item,
    ItemTerms,
)
from services.admin.blindbox.pool_config import box_pool_config
from services.common.errors import InvalidArgumentError
from services.pool.configuration import config_of

NOW = datetime(2026, 7, 1, tzinfo=UTC)
TERMS = ItemTerms("Mug", "m.png", 3, Decimal("9.90"), Decimal("2.00"), 5, None, False)
LAST = replace(TERMS, stock=1, is_last_prize=True)
GOODS_TERMS = GoodsTerms("Spring box", Decimal("9.90"), "", True, 0, False)


def goods(kind: GoodsType = GoodsType.ICHIBAN, boxes: int = 0, **terms: Any) -> Goods:
    return Goods(7, kind, 1, boxes, NOW, NOW, replace(GOODS_TERMS, **terms))


def item(terms: ItemTerms = TERMS) -> Item:
    return Item(1, 7, terms)


def refused(call: Any, *arguments: Any) -> str:
    """The field that *call* names."""
    with pytest.raises(InvalidArgumentError) as caught:
        call(*arguments)
    return caught.value.metadata["field"]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"stock": None}, "stock"),
        ({"weight": 1}, "weight"),
        ({"stock": None, "weight": 1}, "weight"),
        ({"is_last_prize": True, "stock": 2}, "stock"),
    ],
)
def test_ichiban_item_is_refused_when_it_is_no_stack_of_tickets(
    terms: dict[str, Any], field: str
) -> None:
    """It has a stock and no weight; the last prize has one unit."""
    assert field == refused(check_terms, GoodsType.ICHIBAN, replace(TERMS, **terms))


@pytest.mark.parametrize(
    ("terms", "field"),
    [({"is_last_prize": True, "stock": 1}, "is_last_prize"), ({"stock": None}, "weight")],
)
def test_infinite_item_is_refused_when_it_has_no_share(terms: dict[str, Any], field: str) -> None:
    """An unlimited one needs a weight; there is no last ticket."""
    assert field == refused(check_terms, GoodsType.INFINITE, replace(TERMS, **terms))


@pytest.mark.parametrize(
    "terms", [{}, {"weight": 7}, {"stock": None, "weight": 7}], ids=["stock", "both", "unlimited"]
)
def test_infinite_item_may_be_finite_or_not(terms: dict[str, Any]) -> None:
    """With a weight of its own, or its stock for one."""
    check_terms(GoodsType.INFINITE, replace(TERMS, **terms))


def test_last_prize_is_one() -> None:
    """A second one names the field; ordinary items do not mind."""
    check_last_prize([item()], LAST)
    check_last_prize([item(LAST)], TERMS)
    assert "is_last_prize" == refused(check_last_prize, [item(), item(LAST)], LAST)


def test_room_ends_at_256_items() -> None:
    """A pool has no place for more."""
    check_room([item()] * 255)
    assert "goods_id" == refused(check_room, [item()] * 256)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"stock": 9, "img_url": ""}, {"stock": 9, "img_url": ""}),
        ({"is_last_prize": True}, {"is_last_prize": True, "stock": 1}),
        ({"is_last_prize": True, "stock": 9}, {"is_last_prize": True, "stock": 9}),
        ({"is_last_prize": False}, {}),
    ],
)
def test_change_touches_only_what_is_given(
    change: dict[str, Any], expected: dict[str, Any]
) -> None:
    """But what becomes the last prize has one unit, unless another number is asked for."""
    assert replace(TERMS, **expected) == ItemChange(**change).applied_to(TERMS)


@pytest.mark.parametrize(
    ("kind", "boxes", "count"),
    [(GoodsType.ICHIBAN, 0, 100), (GoodsType.ICHIBAN, 999, 1), (GoodsType.INFINITE, 0, 1)],
)
def test_boxes_may_be_opened_up_to_their_bounds(kind: GoodsType, boxes: int, count: int) -> None:
    """A thousand of ichiban goods, one of infinite goods."""
    check_opening(goods(kind, boxes), [item()], count)


@pytest.mark.parametrize(
    ("of", "items", "count", "field"),
    [
        (goods(), [], 1, "items"),
        (goods(), [item(LAST)], 1, "items"),
        (goods(GoodsType.INFINITE), [], 1, "items"),
        (goods(GoodsType.INFINITE), [item()], 2, "count"),
        (goods(GoodsType.INFINITE, boxes=1), [item()], 1, "count"),
        (goods(boxes=901), [item()], 100, "count"),
        (goods(is_ended=True), [item()], 1, "goods_id"),
    ],
)
def test_boxes_are_refused_when_they_make_no_sense(
    of: Goods, items: list[Item], count: int, field: str
) -> None:
    """Without tickets, beyond the bounds, and after the end."""
    assert field == refused(check_opening, of, items, count)


def test_config_of_an_ichiban_box() -> None:
    """Tickets, and the extra that comes with the last one, under the prizes of the box."""
    box = Box(7, 3, 12, 1, is_ended=False)
    prizes = [BoxPrize(21, 0, TERMS), BoxPrize(22, 0, replace(LAST, title="Lamp"))]
    ordinary = {"prizeId": "21", "name": "Mug", "imageUrl": "m.png", "units": "5", "enabled": True}
    last = {"prizeId": "22", "name": "Lamp", "imageUrl": "m.png", "units": "1", "enabled": True}
    assert {
        "mode": "POOL_MODE_TICKETS",
        "status": "POOL_STATUS_OPEN",
        "protectionMs": "90000",
        "goodsRevision": "1",
        "prizes": [ordinary, {**last, "lastPrize": True}],
    } == MessageToDict(box_pool_config(goods(protection_seconds=90), box, prizes))


def test_config_of_an_infinite_box() -> None:
    """Fixed weights; 0 stands for the stock, −1 for no end of it."""
    terms = [
        replace(TERMS, stock=None, weight=7),
        replace(TERMS, weight=9),
        replace(TERMS, stock=4),
    ]
    prizes = [BoxPrize(number, 0, each) for number, each in enumerate(terms, 1)]
    box = Box(7, 1, 12, 1, is_ended=False)
    config = box_pool_config(goods(GoodsType.INFINITE), box, prizes)
    assert pool_pb2.POOL_MODE_WEIGHTS == config.mode
    assert [(-1, 7), (5, 9), (4, 0)] == [(prize.units, prize.weight) for prize in config.prizes]


@pytest.mark.parametrize(
    ("on_shelf", "goods_ended", "box_ended", "status"),
    [
        (True, False, False, pool_pb2.POOL_STATUS_OPEN),
        (False, False, False, pool_pb2.POOL_STATUS_PAUSED),
        (True, True, False, pool_pb2.POOL_STATUS_ENDED),
        (False, True, False, pool_pb2.POOL_STATUS_ENDED),
        (True, False, True, pool_pb2.POOL_STATUS_ENDED),
        (False, False, True, pool_pb2.POOL_STATUS_ENDED),
    ],
)
def test_status_of_a_box_follows_its_goods(
    on_shelf: bool, goods_ended: bool, box_ended: bool, status: int
) -> None:
    """An end, of either, comes before the shelf."""
    of = goods(on_shelf=on_shelf, is_ended=goods_ended)
    assert status == box_pool_config(of, Box(7, 1, 12, 1, box_ended), []).status


number = st.integers(1, 10**9)
finite = st.builds(replace, st.just(TERMS), stock=number)
weighted = st.builds(replace, st.just(TERMS), stock=st.none() | number, weight=number)


@given(
    kind=st.sampled_from(GoodsType),
    ichiban=st.lists(finite, min_size=1, max_size=256),
    infinite=st.lists(finite | weighted, min_size=1, max_size=256),
    protection=st.integers(0, 86_400),
)
def test_whatever_may_be_opened_the_engine_takes(
    kind: GoodsType, ichiban: list[ItemTerms], infinite: list[ItemTerms], protection: int
) -> None:
    """No set of items that passes these rules is refused when it is published."""
    terms = ichiban if kind is GoodsType.ICHIBAN else infinite
    for each in terms:
        check_terms(kind, each)
    check_opening(goods(kind), [item(each) for each in terms], 1)
    prizes = [BoxPrize(number, 0, each) for number, each in enumerate(terms, 1)]
    of = goods(kind, protection_seconds=protection)
    config = config_of(box_pool_config(of, Box(7, 1, 12, 1, is_ended=False), prizes))
    assert [each.stock or -1 for each in terms] == [prize.units for prize in config.prizes]
