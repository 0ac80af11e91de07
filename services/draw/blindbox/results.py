"""What an order gave, as its buyer sees it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from services.common.draw_id import DrawId
from services.draw.blindbox.shelf import Box, Item
from services.draw.past import PastDraw
from services.pool.prize_code import prize_code
from services.pool.rule.terms import Answer, Drawing


class Given(NamedTuple):
    """
    An item that was drawn.

    Args:
        luck_no: The ticket drawn, 1…T of the T that there were; of a last prize: 1.
        weight, total: The odds that it was drawn at.
    """

    item: Item
    draw_id: DrawId
    prize_code: str
    luck_no: int
    drawn_ms: int
    weight: int
    total: int


def given(box: Box, draws: Sequence[PastDraw]) -> list[Given]:
    """The items of an order's *draws*, in the order of drawing."""
    return [
        Given(
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


def fresh_draws(pool_id: int, drawing: Drawing, answer: Answer) -> Iterator[PastDraw]:
    """What *answer* drew just now, as it will be read."""
    for seq, drawn in enumerate(answer.draws, answer.first_seq):
        yield PastDraw(
            seq,
            drawing.version,
            drawing.now_ms,
            drawn.prize_id,
            "",
            prize_code(pool_id, seq, drawn.code_bytes),
            drawn.ticket,
            drawn.weight,
            drawn.total,
            drawing.chain,
        )
