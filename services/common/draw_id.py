"""Draw ids: a draw's place, as text."""

import re
from typing import NamedTuple

from services.common.errors import InvalidArgumentError

_DRAW_ID = re.compile(r"([1-9][0-9]{0,18})-([1-9][0-9]{0,18})")
_MAX_ID = 2**63 - 1


class DrawId(NamedTuple):
    """A draw's place: its pool, and its seq there."""

    pool_id: int
    seq: int

    def __str__(self) -> str:
        return f"{self.pool_id}-{self.seq}"


def parse_draw_id(text: str) -> DrawId:
    """The draw that *text* names; InvalidArgumentError when it names none."""
    match = _DRAW_ID.fullmatch(text)
    draw_id = DrawId(int(match[1]), int(match[2])) if match else None
    if draw_id is None or max(draw_id) > _MAX_ID:
        raise InvalidArgumentError("draw_id", 'draw_id looks like "12-345": pool and place.')
    return draw_id
