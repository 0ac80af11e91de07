"""What operators may write of blind boxes, field by field."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.admin import validation as general
from services.admin.blindbox import validation
from services.admin.blindbox.models import GoodsType
from services.common.errors import InvalidArgumentError
from services.common.orders import money

CENTS = st.integers(0, 9_999_999_999)


def fields_of(error: pytest.ExceptionInfo[InvalidArgumentError]) -> dict[str, str]:
    return error.value.metadata


@given(CENTS)
def test_money_survives_the_way_out_and_back(cents: int) -> None:
    """What an answer shows can be sent back unchanged, for every cent there is."""
    amount = Decimal(cents).scaleb(-2)
    assert (amount, money(amount)) == (
        general.money("price", money(amount)),
        money(general.money("price", money(amount))),
    )


@given(st.text(alphabet="0123456789.-+eE, ", max_size=14))
def test_money_is_taken_as_written_or_refused(text: str) -> None:
    """Whatever looks like a number either means exactly that, within bounds, or is refused."""
    try:
        amount = general.money("price", text)
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
    assert amount == money(general.money("price", value))


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
        general.money("price", value)
    assert {"field": "price"} == fields_of(caught)


@pytest.mark.parametrize("value", ["#000000", "#c0FFee"])
def test_color_is_kept_as_written(value: str) -> None:
    """Either case of hexadecimal digits."""
    assert value == validation.color("color", value)


@pytest.mark.parametrize(
    "value",
    ["", "000000", "#00000", "#0000000", "#gggggg", "#00000\n", "red", "#０00000"],
    ids=ascii,
)
def test_color_is_refused_when_it_is_none(value: str) -> None:
    """Anything but six hexadecimal digits names the field."""
    with pytest.raises(InvalidArgumentError) as caught:
        validation.color("color", value)
    assert {"field": "color"} == fields_of(caught)


@pytest.mark.parametrize(
    ("value", "kind"), [("ichiban", GoodsType.ICHIBAN), ("infinite", GoodsType.INFINITE)]
)
def test_goods_type_is_one_of_two(value: str, kind: GoodsType) -> None:
    """By their names."""
    assert kind is validation.goods_type("type", value)


@pytest.mark.parametrize("value", ["", "Ichiban", "lottery"])
def test_goods_type_is_refused_when_unknown(value: str) -> None:
    """Anything else names the field."""
    with pytest.raises(InvalidArgumentError) as caught:
        validation.goods_type("type", value)
    assert {"field": "type"} == fields_of(caught)


@pytest.mark.parametrize(
    ("check", "minimum", "maximum"),
    [
        (validation.stock, 1, 1_000_000_000),
        (validation.weight, 1, 1_000_000_000),
        (validation.protection, 0, 86_400),
        (validation.boxes, 1, 100),
        (validation.cards, 1, 1000),
    ],
)
def test_whole_numbers_have_bounds(check: general.Check, minimum: int, maximum: int) -> None:
    """Both ends are allowed, one beyond either is not."""
    assert (minimum, maximum) == (check("field", minimum), check("field", maximum))
    for value in (minimum - 1, maximum + 1, 2**31 - 1, -(2**31)):
        with pytest.raises(InvalidArgumentError):
            check("field", value)
