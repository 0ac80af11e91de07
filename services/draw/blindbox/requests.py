"""What is asked of blind boxes, and the bounds of it."""

from typing import NamedTuple

from services.common.errors import InvalidArgumentError
from services.common.orders import CARD_PREFIX

MAX_COUNT = 100
MAX_NAME = 64
_MAX_USER = 1 << 53  # every store holds numbers below exactly


class WantedOrder(NamedTuple):
    """An order that a shop places; 0: left out. See kuji.blindbox.v1.PlaceOrderRequest."""

    order_num: str
    user_id: int
    goods_id: int
    num: int
    draws: int
    order_type: int


class WantedCard(NamedTuple):
    """
    A card that its owner uses; num 0: left out.

    See kuji.blindbox.v1.DrawWithItemCardRequest.
    """

    user_id: int
    goods_id: int
    item_card_id: int
    num: int
    request_id: str


def check_order(wanted: WantedOrder) -> None:
    """InvalidArgumentError when a field of *wanted* is out of bounds."""
    if not _is_name(wanted.order_num) or wanted.order_num.startswith(CARD_PREFIX):
        raise InvalidArgumentError(
            "order_num",
            f"order_num is 1 to {MAX_NAME} printable ASCII characters, "
            f'and does not begin with "{CARD_PREFIX}".',
        )
    if not 1 <= wanted.user_id < _MAX_USER:
        raise InvalidArgumentError("user_id", "user_id is a positive number.")
    check_count(wanted.draws)


def check_card(wanted: WantedCard) -> None:
    """InvalidArgumentError when a field of *wanted* is out of bounds."""
    if wanted.request_id and not _is_name(wanted.request_id):
        raise InvalidArgumentError(
            "request_id", f"request_id is 1 to {MAX_NAME} printable ASCII characters."
        )


def check_count(count: int) -> None:
    """InvalidArgumentError when so many tickets are never drawn at once."""
    if not 1 <= count <= MAX_COUNT:
        raise InvalidArgumentError("count", f"count is 1 to {MAX_COUNT}.")


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= MAX_NAME and text.isascii() and text.isprintable()
