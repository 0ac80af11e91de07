"""How Go, and so ghz, writes and reads durations, sizes, numbers and JSON."""

import json
import re
from decimal import Decimal

from ops.errors import OperatorError

NS_PER_S = 1_000_000_000
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+)")
_SIZE = re.compile(r"(\d+(?:\.\d*)?)\s*([a-zA-Z]*)")
_SIZE_LETTERS = "kmgtpe"


def parse_duration(text: str) -> int:
    """Nanoseconds of for example "1m30s", "250ms", "0"; ValueError for anything else."""
    if text.strip() in {"0", "+0", "-0"}:
        return 0
    whole = _DURATION.fullmatch(text.strip())
    if whole is None:
        raise ValueError(f'"{text}" is not a duration like 20s, 1m30s or 250ms')
    ns = sum(int(Decimal(value) * _UNITS_NS[unit]) for value, unit in _PART.findall(whole[2]))
    return -ns if whole[1] == "-" else ns


def duration_text(ns: int) -> str:
    """For example "1m30s", "1.5s", "250ms", "0s"."""
    if ns < 0:
        return f"-{duration_text(-ns)}"
    if ns == 0:
        return "0s"
    if ns < NS_PER_S:
        unit = next(unit for unit in ("ms", "µs", "ns") if ns >= _UNITS_NS[unit])
        return f"{_decimal(ns, _UNITS_NS[unit])}{unit}"
    minutes, rest = divmod(ns, 60 * NS_PER_S)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(rest, NS_PER_S)}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value: int, unit: int) -> str:
    return format((Decimal(value) / unit).normalize(), "f")


def parse_bytes(text: str) -> int:
    """Bytes of for example "42 MB" (of 1000), "42MiB" (of 1024), "42"; ValueError otherwise."""
    found = _SIZE.fullmatch(text.strip().replace(",", ""))
    if found is None:
        raise ValueError(f'"{text}" is not a size like 42 MB, 4MiB or 65536')
    number, unit = Decimal(found[1]), found[2].lower()
    stem = unit.removesuffix("b")
    base = 1024 if stem.endswith("i") else 1000
    stem = stem.removesuffix("i")
    if stem == "" and unit in {"", "b"}:
        return int(number)
    if len(stem) != 1 or stem not in _SIZE_LETTERS:
        raise ValueError(f'"{text}" is not a size like 42 MB, 4MiB or 65536')
    return int(number * base ** (_SIZE_LETTERS.index(stem) + 1))


def seconds_of(ns: int) -> float:
    """As Go divides: whole seconds and the rest apart."""
    return float(ns // NS_PER_S) + (ns % NS_PER_S) / 1e9


def float_text(value: float, exponent_from: int = 21) -> str:
    """Shortest digits that give *value* again, with an exponent from 10^*exponent_from* on."""
    if value == 0:
        return "-0" if str(value).startswith("-") else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    power = len(digits) + exponent - 1
    if -4 <= power < exponent_from:
        return format(Decimal(repr(value)).normalize(), "f")
    mantissa = "".join(map(str, digits))
    point = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{point}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _json_number(value: float) -> str:
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)).normalize(), "f")
    mantissa, _, power = float_text(value).partition("e")
    return f"{mantissa}e{power[0]}{power[1:].lstrip('0')}"


def json_text(value: object, escape_html: bool = True) -> str:
    """
    Compact JSON, letter for letter as Go's encoding/json has it.

    Names stay in the order of the dict; Go's maps are sorted, so sort what was one: see
    sorted_json.
    """
    if isinstance(value, float):
        return _json_number(value)
    if isinstance(value, dict):
        pairs = (
            f"{_quoted(key, escape_html)}:{json_text(value[key], escape_html)}" for key in value
        )
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(json_text(each, escape_html) for each in value)}]"
    if isinstance(value, str):
        return _quoted(value, escape_html)
    return json.dumps(value)


def _quoted(text: object, escape_html: bool) -> str:
    quoted = json.dumps(str(text), ensure_ascii=False)
    for letter in "<>&\u2028\u2029" if escape_html else "\u2028\u2029":
        quoted = quoted.replace(letter, f"\\u{ord(letter):04x}")
    return quoted


def sorted_json(value: object) -> object:
    """The same with the names of every object sorted."""
    if isinstance(value, dict):
        return {key: sorted_json(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [sorted_json(each) for each in value]
    return value


def read_json(text: str | bytes, what: str) -> object:
    """The value; OperatorError, naming *what* it is, where it is no JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise OperatorError(f"{what} is not JSON: {error}") from None
