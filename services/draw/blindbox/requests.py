"""What is asked of blind boxes."""

from typing import NamedTuple


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

    Args:
        address: Where the owner is; empty: not told.
    """

    user_id: int
    goods_id: int
    item_card_id: int
    num: int
    request_id: str
    address: str = ""
