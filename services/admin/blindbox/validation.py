"""What operators may write of blind boxes, as services.admin.validation has it of the rest."""

import re

from services.admin.blindbox.models import GoodsType
from services.admin.models import MAX_UNITS
from services.admin.validation import whole
from services.common.errors import InvalidArgumentError

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")

stock = whole(MAX_UNITS, minimum=1)
weight = whole(MAX_UNITS, minimum=1)
protection = whole(86_400)
boxes = whole(100, minimum=1)
cards = whole(1000, minimum=1)


def color(field: str, value: str) -> str:
    """*value*, red, green and blue in hexadecimal: "#c00000"."""
    if not _COLOR.fullmatch(value):
        raise InvalidArgumentError(field, f"{field} is written #rrggbb.")
    return value


def goods_type(field: str, value: str) -> GoodsType:
    """*value* as a type of goods."""
    if value not in list(GoodsType):
        raise InvalidArgumentError(field, f"{field} is one of {', '.join(GoodsType)}.")
    return GoodsType(value)
