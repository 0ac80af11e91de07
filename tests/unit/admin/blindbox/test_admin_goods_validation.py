"""What operators may write of blind boxes, field by field."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kuji.admin.v1 import goods_pb2

from services.admin.validation import money as money_of
from services.common.bounds import check_value
from services.common.errors import InvalidArgumentError
from services.common.orders import money

CENTS = st.integers(0, 9_999_999_999)
PRICE = goods_pb2.CreateGoodsRequest.DESCRIPTOR.fields_by_name["price"]
COLOR = goods_pb2.CreateShangRequest.DESCRIPTOR.fields_by_name["color"]


def _price(text: str) -> Decimal:
    check_value(PRICE, text)
    return money_of("price", text)


def fields_of(error: pytest.ExceptionInfo[InvalidArgumentError]) -> dict[str, str]:
    return error.value.metadata


@given(CENTS)
def test_money_survives_the_way_out_and_back(cents: int) -> None:
    """What an answer shows can be sent back unchanged, for every cent there is."""
    amount = Decimal(cents).scaleb(-2)
    assert (amount, money(amount)) == (
        _price(money(amount)),
        money(_price(money(amount))),
    )


@given(st.text(alphabet="0123456789.-+eE, ", max_size=14))
def test_money_is_taken_as_written_or_refused(text: str) -> None:
    """Whatever looks like a number either means exactly that, within bounds, or is refused."""
    try:
        amount = _price(text)
    except InvalidArgumentError:
        return
    assert Decimal(text) == amount
    assert 0 <= amount <= Decimal("99999999.99")
    assert Decimal(money(amount)) == amount


@pytest.mark.parametrize(
    ("value", "amount"),
    [("0", "0.00"), ("0.0", "0.00"), ("9.9", "9.90"), ("99999999.99", "99999999.99")],
)
def test_money_may_have_fewer_decimals(value: str, amount: str) -> None:
    """It is shown with two."""
    assert amount == money(_price(value))


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", ".", ".5", "5.", "-0.01", "+1", "1e3", "0x1", "NaN", "Infinity", "1_000"),
        *("1,50", "9.999", "0.001", "100000000", "100000000.00", " 1", "1\n", "1\0", "９.90", "٣"),
    ],
    ids=ascii,
)
def test_money_is_refused_when_it_is_none(value: str) -> None:
    """Signs, exponents, a third decimal, other scripts' digits and too much name the field."""
    with pytest.raises(InvalidArgumentError) as caught:
        _price(value)
    assert {"field": "price"} == fields_of(caught)


@pytest.mark.parametrize(
    "value",
    ["", "000000", "#00000", "#0000000", "#gggggg", "#00000\n", "red", "#０00000"],
    ids=ascii,
)
def test_color_is_refused_when_it_is_none(value: str) -> None:
    """Anything but six hexadecimal digits names the field."""
    with pytest.raises(InvalidArgumentError) as caught:
        check_value(COLOR, value)
    assert {"field": "color"} == fields_of(caught)
