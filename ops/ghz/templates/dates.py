"""sprig's functions on times, and Go's layouts of them."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ops.ghz.notation import NS_PER_S, duration_text, parse_duration
from ops.ghz.templates.functions import Catalog, number, text

DATES = Catalog()
_LAYOUT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|Z07:00|Z0700|-07:00|-0700|-07|[.,]0+|[.,]9+"
    r"|01|02|03|04|05|06|15|_2|PM|pm|1|2|3|4|5"
)


def _zone(moment: datetime, colon: bool, z: bool = False) -> str:
    offset = moment.strftime("%z") or "+0000"
    if z and offset == "+0000":
        return "Z"
    return f"{offset[:3]}:{offset[3:5]}" if colon else offset[:5]


_PARTS: Mapping[str, Callable[[datetime], str]] = {
    "January": lambda t: t.strftime("%B"),
    "Jan": lambda t: t.strftime("%b"),
    "Monday": lambda t: t.strftime("%A"),
    "Mon": lambda t: t.strftime("%a"),
    "MST": lambda t: t.tzname() or "UTC",
    "2006": lambda t: f"{t.year:04d}",
    "06": lambda t: f"{t.year % 100:02d}",
    "01": lambda t: f"{t.month:02d}",
    "1": lambda t: str(t.month),
    "02": lambda t: f"{t.day:02d}",
    "_2": lambda t: f"{t.day:2d}",
    "2": lambda t: str(t.day),
    "15": lambda t: f"{t.hour:02d}",
    "03": lambda t: f"{t.hour % 12 or 12:02d}",
    "3": lambda t: str(t.hour % 12 or 12),
    "04": lambda t: f"{t.minute:02d}",
    "4": lambda t: str(t.minute),
    "05": lambda t: f"{t.second:02d}",
    "5": lambda t: str(t.second),
    "PM": lambda t: "AM" if t.hour < 12 else "PM",
    "pm": lambda t: "am" if t.hour < 12 else "pm",
    "Z07:00": lambda t: _zone(t, colon=True, z=True),
    "Z0700": lambda t: _zone(t, colon=False, z=True),
    "-07:00": lambda t: _zone(t, colon=True),
    "-0700": lambda t: _zone(t, colon=False),
    "-07": lambda t: _zone(t, colon=False)[:3],
}


def laid_out(moment: datetime, layout: str) -> str:
    """*moment* as Go's layout, for example "2006-01-02 15:04:05", has it."""
    return _LAYOUT.sub(lambda found: _part(moment, found[0]), layout)


def _part(moment: datetime, part: str) -> str:
    if part[0] in ".,":
        digits = f"{moment.microsecond:06d}000"[: len(part) - 1].ljust(len(part) - 1, "0")
        if part[1] == "9":
            digits = digits.rstrip("0")
        return f"{part[0]}{digits}" if digits else ""
    return _PARTS[part](moment)


def _moment(value: Any) -> datetime:
    """A time, or the seconds of one; anything else is now."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC).astimezone()
    return datetime.now(UTC).astimezone()


def _in_zone(layout: Any, value: Any, zone: Any) -> str:
    try:
        where = ZoneInfo("UTC" if text(zone) in {"", "Local"} else zone)
    except (ZoneInfoNotFoundError, ValueError):
        where = ZoneInfo("UTC")
    return laid_out(_moment(value).astimezone(where), text(layout))


def _modified(change: Any, value: Any) -> datetime:
    """A change that is no duration leaves it as it is."""
    try:
        return _moment(value) + timedelta(microseconds=parse_duration(text(change)) / 1000)
    except ValueError:
        return _moment(value)


def _ago(value: Any) -> str:
    since = datetime.now(UTC) - _moment(value)
    return duration_text(round(since.total_seconds()) * NS_PER_S)


DATES.add("now", 0, is_pure=False)(lambda: datetime.now(UTC).astimezone())
DATES.add("date", 2, is_pure=False)(lambda layout, value: laid_out(_moment(value), text(layout)))
DATES.add("dateInZone", 3, is_pure=False)(_in_zone)
DATES.add("date_in_zone", 3, is_pure=False)(_in_zone)
DATES.add("dateModify", 2, is_pure=False)(_modified)
DATES.add("date_modify", 2, is_pure=False)(_modified)
DATES.add("ago", 1, is_pure=False)(_ago)
DATES.add("htmlDate", 1, is_pure=False)(lambda value: laid_out(_moment(value), "2006-01-02"))
DATES.add("unixEpoch", 1, is_pure=False)(lambda value: str(int(_moment(value).timestamp())))
DATES.add("duration", 1)(lambda seconds: duration_text(number(seconds) * NS_PER_S))
