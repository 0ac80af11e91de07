"""What is asked of a lottery, and the bounds of it."""

from typing import NamedTuple

from services.common.errors import InvalidArgumentError

MAX_REQUEST_ID = 64
MAX_ID = (1 << 63) - 1


class WantedDraw(NamedTuple):
    """A draw that a caller asks for; see kuji.draw.v1.BatchDraw."""

    activity_id: int
    user_id: int
    request_id: str


def check(wanted: WantedDraw) -> None:
    """InvalidArgumentError when a field of *wanted* is out of bounds."""
    if not 0 <= wanted.activity_id <= MAX_ID:
        raise InvalidArgumentError("activity_id", "activity_id is a positive number.")
    if not 1 <= wanted.user_id < 1 << 53:
        raise InvalidArgumentError("user_id", "user_id is a positive number.")
    name = wanted.request_id
    if not (1 <= len(name) <= MAX_REQUEST_ID and name.isascii() and name.isprintable()):
        raise InvalidArgumentError(
            "request_id", f"request_id is 1 to {MAX_REQUEST_ID} printable ASCII characters."
        )


def check_named(wanted: WantedDraw) -> None:
    """InvalidArgumentError when *wanted* is out of bounds, or names no activity."""
    check(wanted)
    if not wanted.activity_id:
        raise InvalidArgumentError("activity_id", "Name the activity_id.")
