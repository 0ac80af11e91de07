"""What an order gave, as its buyer sees it."""

from collections.abc import Sequence
from typing import NamedTuple

from services.common.draw_id import DrawId
from services.draw.blindbox.shelf import OpenBox, OpenBoxItem
from services.draw.made import MadeDraw


class DrawnItem(NamedTuple):
    """
    An item that was drawn.

    Args:
        luck_no: The ticket drawn, 1…T of the T that there were; of a last prize: 1.
        weight, total: The odds that it was drawn at.
    """

    item: OpenBoxItem
    draw_id: DrawId
    prize_code: str
    luck_no: int
    drawn_ms: int
    weight: int
    total: int


def drawn_items(box: OpenBox, draws: Sequence[MadeDraw]) -> list[DrawnItem]:
    """The items of an order's *draws*, in the order of drawing."""
    return [
        DrawnItem(
            box.items[draw.prize_id],
            DrawId(box.pool_id, draw.seq),
            draw.prize_code,
            draw.ticket + 1,
            draw.drawn_ms,
            draw.weight,
            draw.total,
        )
        for draw in draws
    ]
