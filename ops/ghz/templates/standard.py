"""The functions that Go's text/template has by itself."""

import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from ops.ghz.notation import float_text
from ops.ghz.templates.functions import Catalog, text, whole
from ops.ghz.templates.text import value_text

STANDARD = Catalog()
_VERB = re.compile(r"%([-+ 0#]*)(\d*)(?:\.(\d*))?([a-zA-Z%])")


@STANDARD.add("and", 1, None)
@STANDARD.add("or", 1, None)
def _never(*_: Any) -> Any:
    """The evaluator does these itself: they reckon no more than they need."""
    raise NotImplementedError


@STANDARD.add("not", 1)
def _not(value: object) -> bool:
    return not value


@STANDARD.add("len", 1)
def _len(value: Any) -> int:
    return len(value.encode()) if isinstance(value, str) else len(value)


@STANDARD.add("index", 1, None)
def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(text(key))
        elif not 0 <= whole(key) < len(value):
            raise ValueError(f"index out of range: {key}")
        else:
            value = value.encode()[key] if isinstance(value, str) else value[key]
    return value


@STANDARD.add("slice", 1, 3)
def _slice(value: Any, *bounds: Any) -> Any:
    begin, end = (*map(whole, bounds), *(0, len(value))[len(bounds) :])
    if not 0 <= begin <= end <= len(value):
        raise ValueError(f"index out of range: {begin}:{end}")
    return value[begin:end]


def _is_equal(a: Any, b: Any) -> bool:
    if isinstance(a, bool) != isinstance(b, bool) or isinstance(a, str) != isinstance(b, str):
        raise ValueError("incompatible types for comparison")
    return bool(a == b)


@STANDARD.add("eq", 2, None)
def _eq(first: Any, *others: Any) -> bool:
    return any(_is_equal(first, other) for other in others)


@STANDARD.add("ne", 2)
def _ne(a: Any, b: Any) -> bool:
    return not _is_equal(a, b)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def checked(a: Any, b: Any) -> bool:
        for each in (a, b):
            if isinstance(each, bool) or not isinstance(each, (int, float, str)):
                raise ValueError("invalid type for comparison")
        return compare(a, b)

    return checked


STANDARD.add("lt", 2)(_ordered(lambda a, b: a < b))
STANDARD.add("le", 2)(_ordered(lambda a, b: a <= b))
STANDARD.add("gt", 2)(_ordered(lambda a, b: a > b))
STANDARD.add("ge", 2)(_ordered(lambda a, b: a >= b))


@STANDARD.add("print", 0, None)
def _print(*values: Any) -> str:
    """A space between two that are no strings."""
    parts = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            parts.append(" ")
        parts.append(value_text(value))
    return "".join(parts)


@STANDARD.add("println", 0, None)
def _println(*values: Any) -> str:
    return " ".join(map(value_text, values)) + "\n"


@STANDARD.add("printf", 1, None)
def _printf(form: Any, *values: Any) -> str:
    waiting = list(values)

    def one(found: re.Match[str]) -> str:
        if found[4] == "%":
            return "%"
        if not waiting:
            return f"%!{found[4]}(MISSING)"
        return _formatted(found, waiting.pop(0))

    return _VERB.sub(one, text(form))


def _formatted(found: re.Match[str], value: Any) -> str:
    flags, width, precision, verb = found.groups()
    point = f".{precision or 0}" if precision is not None else ""
    if verb in "dxXob":
        said = f"{flags}{width}" if verb in "dxX" else ""
        return f"%{said}{verb}" % whole(value) if said or verb in "dxX" else f"{value:{verb}}"
    if verb in "feE" or (verb == "g" and point):
        return f"%{flags}{width}{point}{verb}" % float(value)
    if verb == "q":
        value = json.dumps(value_text(value), ensure_ascii=False)
    elif verb == "g":
        value = float_text(float(value))
    elif verb not in "vst":
        raise ValueError(f"%{verb} is not supported")
    left = flags if "-" in flags else ""
    return f"%{left}{width}{point if verb == 's' else ''}s" % value_text(value)


@STANDARD.add("html", 0, None)
def _html(*values: Any) -> str:
    return html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


@STANDARD.add("js", 0, None)
def _js(*values: Any) -> str:
    quoted = json.dumps(_print(*values), ensure_ascii=False)[1:-1].replace("'", "\\'")
    for letter in "<>&=":
        quoted = quoted.replace(letter, f"\\u{ord(letter):04X}")
    return quoted


@STANDARD.add("urlquery", 0, None)
def _urlquery(*values: Any) -> str:
    return quote_plus(_print(*values))
