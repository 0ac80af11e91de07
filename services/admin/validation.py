"""What operators may write: each function returns the value to keep or names the field."""

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from zoneinfo import available_timezones

from google.protobuf.timestamp_pb2 import Timestamp

from services.admin.models import MAX_UNITS, PPB, ConfirmMode
from services.common.addresses import Network, parse_network
from services.common.errors import InvalidArgumentError
from services.common.visible_text import hides, is_seen

MAX_NAME = 100
MAX_TEXT = 2000
MAX_COUNT = 1_000_000
MAX_COOLDOWN_S = 31_536_000
MAX_DIFFICULTY = 32
MAX_SPREAD_MS = 3_600_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
_SURROGATES = "Cs"
_MIN_PREFIXES = {4: 8, 6: 16}  # by version of the protocol

NO_MONEY = "0.00"
_MONEY = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?", re.ASCII)

Check = Callable[[str, int], int]


def text(field: str, value: str) -> str:
    """*value*, at most 2000 characters that Postgres can store."""
    if len(value) > MAX_TEXT:
        raise InvalidArgumentError(field, f"{field} has at most {MAX_TEXT} characters.")
    if "\0" in value or any(unicodedata.category(char) == _SURROGATES for char in value):
        raise InvalidArgumentError(field, f"{field} holds characters that are not text.")
    return value


def name(field: str, value: str) -> str:
    """
    *value* without the blanks around it: 1…100 characters that show what is there.

    One at least can be seen, and none is a control character, of direction neither: a name is
    read by others, and may not pass for another one.
    """
    trimmed = value.strip()
    if not 1 <= len(trimmed) <= MAX_NAME:
        raise InvalidArgumentError(field, f"{field} has 1 to {MAX_NAME} characters.")
    if hides(trimmed):
        raise InvalidArgumentError(field, f"{field} may not hold control or invisible characters.")
    if not any(map(is_seen, trimmed)):
        raise InvalidArgumentError(field, f"{field} holds nothing that can be seen.")
    return trimmed


def whole(maximum: int, minimum: int = 0) -> Check:
    """A check for whole numbers *minimum*…*maximum*."""

    def check(field: str, value: int) -> int:
        if not minimum <= value <= maximum:
            raise InvalidArgumentError(field, f"{field} is {minimum} to {maximum}.")
        return value

    return check


units = whole(MAX_UNITS)
count = whole(MAX_COUNT)
cooldown = whole(MAX_COOLDOWN_S)
difficulty = whole(MAX_DIFFICULTY)
spread = whole(MAX_SPREAD_MS)


def confirm(field: str, value: str) -> ConfirmMode:
    """*value*, one of "store", "replica" and "recorded"."""
    if value not in list(ConfirmMode):
        raise InvalidArgumentError(field, f"{field} is one of {', '.join(ConfirmMode)}.")
    return ConfirmMode(value)


def identity(field: str, value: int) -> int:
    """*value*, which names something."""
    if value < 1:
        raise InvalidArgumentError(field, f"{field} is missing.")
    return value


def probability_ppb(field: str, value: float) -> int:
    """*value*, 0…1 with at most nine decimals, as parts per billion, exactly."""
    if not math.isfinite(value) or not 0 <= value <= 1:
        raise InvalidArgumentError(field, f"{field} is 0 to 1.")
    # repr gives the shortest decimal that means this double: what the operator typed.
    ppb = Decimal(repr(value)) * PPB
    if ppb != int(ppb):
        raise InvalidArgumentError(field, f"{field} has at most nine decimals.")
    return int(ppb)


def moment(field: str, value: Timestamp) -> datetime:
    """*value* as an aware datetime, cut to whole milliseconds: finer the draw's clock is not."""
    if not (0 <= value.seconds <= _LAST_SECOND and 0 <= value.nanos < 1_000_000_000):
        raise InvalidArgumentError(field, f"{field} lies outside of 1970 to 9999.")
    return _EPOCH + timedelta(seconds=value.seconds, milliseconds=value.nanos // 1_000_000)


def network(field: str, value: str) -> Network:
    """*value*, an address or a range of them, no wider than somebody means to block."""
    found = parse_network(value)
    if found is None:
        raise InvalidArgumentError(field, f"{field} is an address, or a range with its prefix.")
    if found.prefixlen < _MIN_PREFIXES[found.version]:
        raise InvalidArgumentError(
            field, f"{field} is no wider than /{_MIN_PREFIXES[found.version]}."
        )
    return found


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def time_zone(field: str, value: str) -> str:
    """*value*, the name of an IANA time zone; UTC where it is empty."""
    if value and value not in _zones():
        raise InvalidArgumentError(field, f"{field} is not the name of an IANA time zone.")
    return value or "UTC"


def money(field: str, value: str) -> Decimal:
    """*value*, "0.00"…"99999999.99" with at most two decimals, exactly."""
    if not _MONEY.fullmatch(value):
        raise InvalidArgumentError(
            field, f"{field} is 0.00 to 99999999.99, with at most two decimals."
        )
    return Decimal(value)
