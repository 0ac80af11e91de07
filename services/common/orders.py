"""What the parts of a blind-box order agree on: its numbers and names, and how money is shown."""

from decimal import Decimal
from enum import IntEnum

CARD_PREFIX = "card:"
_PLACES_OF_AN_ORDER = 128  # 100 draws and a last prize fit
_CENT = Decimal("0.01")


class OrderType(IntEnum):
    """What an order spends."""

    ICHIBAN = 1
    INFINITE = 2
    ITEM_CARD = 3


ORDER_TYPES_OF_GOODS = {"ichiban": OrderType.ICHIBAN, "infinite": OrderType.INFINITE}


class GoodslistType(IntEnum):
    """What an order item is."""

    ORDINARY = 1
    LAST_PRIZE = 2


def order_item_id(order_id: int, draw_index: int) -> int:
    """
    The id of what draw *draw_index* of an order gave, known before it is recorded.

    Exact as a JSON number, 2^53, up to order 7·10^13.
    """
    return order_id * _PLACES_OF_AN_ORDER + draw_index


def card_order_num(item_card_id: int) -> str:
    """The order number under which an item card draws."""
    return f"{CARD_PREFIX}{item_card_id}"


def draw_request_id(order_num: str, attempt: int) -> str:
    """
    The request id of an order's draw, as the ledger has it.

    Each attempt has its own: before the next one, that of the attempt before was made void. No two
    orders share one: what stands before the first colon tells the attempt.

    Args:
        order_num: A shop's, or card_order_num().
        attempt: From 1.
    """
    is_card = order_num.startswith(CARD_PREFIX)
    kind, name = ("card", order_num[len(CARD_PREFIX) :]) if is_card else ("order", order_num)
    return f"{kind}:{name}" if attempt == 1 else f"{kind}@{attempt}:{name}"


def order_of_draw(request_id: str) -> tuple[str, int]:
    """
    The order number and the attempt of a draw's request id: the inverse of draw_request_id().

    Raises:
        ValueError: It is no order's.
    """
    kind, _, name = request_id.partition(":")
    what, _, attempt = kind.partition("@")
    if what not in ("order", "card") or not name:
        raise ValueError(f"{request_id!r} is no order's")
    return (f"{CARD_PREFIX}{name}" if what == "card" else name), int(attempt or 1)


def card_of_order(order_num: str) -> int | None:
    """The item card under whose order number this is; None: it is a shop's."""
    is_card = order_num.startswith(CARD_PREFIX)
    return int(order_num[len(CARD_PREFIX) :]) if is_card else None


def money(amount: Decimal) -> str:
    """*amount* with two decimals: "9.90"."""
    return str(amount.quantize(_CENT))
