"""
What operators may write, beyond what the protos say of a field, which is checked before.

Each function returns the value to keep, or names the field.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from google.protobuf.timestamp_pb2 import Timestamp

from services.admin.models import PPB, ConfirmMode
from services.common.addresses import Network, parse_network
from services.common.errors import InvalidArgumentError
from services.common.visible_text import hides, is_seen

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_PREFIXES = {4: 8, 6: 16}  # by version of the protocol

NO_MONEY = "0.00"


def as_given(_field: str, value: Any) -> Any:  # noqa: ANN401  # whatever a message holds
    """*value*: its proto says all that there is to say of it."""
    return value


def name(field: str, value: str) -> str:
    """
    *value* without the blanks around it: characters that show what is there.

    One at least can be seen, and none is a control character, of direction neither: a name is
    read by others, and may not pass for another one.
    """
    trimmed = value.strip()
    if hides(trimmed):
        raise InvalidArgumentError(field, f"{field} may not hold control or invisible characters.")
    if not any(map(is_seen, trimmed)):
        raise InvalidArgumentError(field, f"{field} holds nothing that can be seen.")
    return trimmed


def confirm(_field: str, value: str) -> ConfirmMode:
    """*value*, one of "store", "replica" and "recorded"."""
    return ConfirmMode(value)


def probability_ppb(field: str, value: float) -> int:
    """*value*, 0…1 with at most nine decimals, as parts per billion, exactly."""
    # repr gives the shortest decimal that means this double: what the operator typed.
    ppb = Decimal(repr(value)) * PPB
    if ppb != int(ppb):
        raise InvalidArgumentError(field, f"{field} has at most nine decimals.")
    return int(ppb)


def moment(_field: str, value: Timestamp) -> datetime:
    """*value* as an aware datetime, cut to whole milliseconds: finer the draw's clock is not."""
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


def money(_field: str, value: str) -> Decimal:
    """*value*, "0.00"…"99999999.99", exactly."""
    return Decimal(value)
