"""Goods, levels, items, boxes and cards as the administration knows them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from services.admin.etags import etag_of
from services.admin.models import ConfirmMode
from services.pool.configuration import MAX_PRIZES

MAX_SHANGS = 256
MAX_ITEMS = MAX_PRIZES
MAX_BOXES = 1000


class GoodsType(StrEnum):
    """How goods are sold."""

    ICHIBAN = "ichiban"
    INFINITE = "infinite"


@dataclass(frozen=True, slots=True)
class GoodsTerms:
    """
    What an operator sets of goods.

    Args:
        title: 1…100 characters.
        price: Of one ticket, two decimals.
        image_url: At most 2000 characters.
        on_shelf: Whether their boxes draw.
        protection_seconds: For how long a box is its current buyer's alone; 0: not at all.
        is_ended: Whether they have ended for good.
        confirm: What an answered win has to survive.
    """

    title: str
    price: Decimal
    image_url: str
    on_shelf: bool
    protection_seconds: int
    is_ended: bool
    confirm: ConfirmMode = ConfirmMode.STORE


@dataclass(frozen=True, slots=True)
class Goods:
    """
    Goods as stored.

    Args:
        revision: Counts the changes that concern draws.
        boxes: Numbered 1…boxes; the last of them may be about to be opened.
    """

    goods_id: int
    type: GoodsType
    revision: int
    boxes: int
    created_at: datetime
    updated_at: datetime
    terms: GoodsTerms

    @property
    def etag(self) -> str:
        """Equal as long as nothing was edited and no box opened."""
        return etag_of(f"goods:{self.goods_id}", self.terms, self.boxes)


@dataclass(frozen=True, slots=True)
class ShangTerms:
    """What an operator sets of a level (赏): title, colour ("#rrggbb"), place among the others."""

    title: str
    color: str
    sort: int


@dataclass(frozen=True, slots=True)
class Shang:
    """A level as stored."""

    shang_id: int
    goods_id: int
    terms: ShangTerms


@dataclass(frozen=True, slots=True)
class ItemTerms:
    """
    What an operator sets of an item.

    Args:
        title: 1…100 characters.
        img_url: At most 2000 characters.
        shang_id: Its level.
        price: Two decimals.
        sc_money: Recovery value, two decimals.
        stock: Units in a fresh box, 1…10^9; None: unlimited.
        weight: Fixed weight, 1…10^9; None: the surplus stock.
        is_last_prize: Whether it comes with the last ticket, and has none of its own.
    """

    title: str
    img_url: str
    shang_id: int
    price: Decimal
    sc_money: Decimal
    stock: int | None
    weight: int | None
    is_last_prize: bool


@dataclass(frozen=True, slots=True)
class Item:
    """An item as stored."""

    goods_item_id: int
    goods_id: int
    terms: ItemTerms

    @property
    def etag(self) -> str:
        """Equal as long as nothing was edited."""
        return etag_of(f"item:{self.goods_item_id}", self.terms)


@dataclass(frozen=True, slots=True)
class Box:
    """
    A numbered box: one pool.

    Args:
        revision: Of its goods, as the pool was published with it.
        is_ended: Whether the pool has ended: sold out, or with its goods.
    """

    goods_id: int
    num: int
    pool_id: int
    revision: int
    is_ended: bool


@dataclass(frozen=True, slots=True)
class BoxPrize:
    """
    An item in a box, where it is a prize of its own.

    Args:
        won_count: As far as it is recorded.
        held_count: Units held back: draws that were lost may have won them.
    """

    prize_id: int
    won_count: int
    terms: ItemTerms
    held_count: int = 0

    @property
    def is_sold_out(self) -> bool:
        """Whether all its units are recorded as won; never when it is unlimited."""
        return self.terms.stock == self.won_count


class CardStatus(StrEnum):
    """What became of an item card."""

    UNUSED = "unused"
    RESERVED = "reserved"
    USED = "used"


@dataclass(frozen=True, slots=True)
class ItemCard:
    """An item card as stored; goods_id None: it draws from any goods."""

    item_card_id: int
    user_id: int
    goods_id: int | None
    status: CardStatus
    created_at: datetime
