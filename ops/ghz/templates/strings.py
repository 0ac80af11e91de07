"""sprig's functions on strings."""

import json
import re
from typing import Any

from ops.ghz.templates.functions import Catalog, bounded, items, table, text, whole
from ops.ghz.templates.text import value_text

STRINGS = Catalog()


def _parts(value: object) -> list[str]:
    """The elements of a list as texts, or the one value; nil left out."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [value_text(each) for each in values if each is not None]


STRINGS.add("trim", 1)(lambda s: text(s).strip())
STRINGS.add("trimAll", 2)(lambda letters, s: text(s).strip(text(letters)))
STRINGS.add("trimPrefix", 2)(lambda prefix, s: text(s).removeprefix(text(prefix)))
STRINGS.add("trimSuffix", 2)(lambda suffix, s: text(s).removesuffix(text(suffix)))
STRINGS.add("upper", 1)(lambda s: text(s).upper())
STRINGS.add("lower", 1)(lambda s: text(s).lower())
STRINGS.add("contains", 2)(lambda part, s: text(part) in text(s))
STRINGS.add("hasPrefix", 2)(lambda prefix, s: text(s).startswith(text(prefix)))
STRINGS.add("hasSuffix", 2)(lambda suffix, s: text(s).endswith(text(suffix)))
STRINGS.add("replace", 3)(lambda old, new, s: text(s).replace(text(old), text(new)))
STRINGS.add("nospace", 1)(lambda s: "".join(text(s).split()))
STRINGS.add("plural", 3)(lambda one, many, count: text(one if whole(count) == 1 else many))
STRINGS.add("toString", 1)(value_text)
STRINGS.add("toStrings", 1)(_parts)
STRINGS.add("join", 2)(lambda between, values: text(between).join(_parts(values)))
STRINGS.add("splitList", 2)(lambda between, s: _split(s, between))
STRINGS.add("sortAlpha", 1)(lambda values: sorted(_parts(values)))
STRINGS.add("regexMatch", 2)(lambda form, s: re.search(text(form), text(s)) is not None)


def _split(value: Any, between: Any) -> list[str]:
    return text(value).split(text(between)) if text(between) else list(text(value))


@STRINGS.add("split", 2)
def _split_named(between: Any, value: Any) -> dict[str, str]:
    return {f"_{place}": part for place, part in enumerate(_split(value, between))}


def _first_letters(value: Any, change: Any) -> str:
    return re.sub(r"(?<!\S)\S", lambda found: change(found[0]), text(value))


STRINGS.add("title", 1)(lambda s: _first_letters(s, str.upper))
STRINGS.add("untitle", 1)(lambda s: _first_letters(s, str.lower))
STRINGS.add("initials", 1)(lambda s: "".join(word[0] for word in text(s).split()))


@STRINGS.add("repeat", 2)
def _repeat(count: Any, value: Any) -> str:
    bounded(max(0, whole(count)) * len(text(value)))
    return text(value) * max(0, whole(count))


@STRINGS.add("substr", 3)
def _substr(begin: Any, end: Any, value: Any) -> str:
    if whole(begin) < 0:
        return text(value)[: max(0, whole(end))]
    if whole(end) < 0 or end > len(value):
        return text(value)[begin:]
    return text(value)[begin:end]


@STRINGS.add("trunc", 2)
def _trunc(length: Any, value: Any) -> str:
    """Negative: the last characters."""
    return text(value)[length:] if whole(length) < 0 else text(value)[:length]


@STRINGS.add("abbrev", 2)
def _abbrev(width: Any, value: Any) -> str:
    if whole(width) < 4 or len(text(value)) <= width:
        return text(value)
    return f"{value[: width - 3]}..."


@STRINGS.add("quote", 0, None)
def _quote(*values: Any) -> str:
    return " ".join(json.dumps(part, ensure_ascii=False) for part in _parts(values))


@STRINGS.add("squote", 0, None)
def _squote(*values: Any) -> str:
    return " ".join(f"'{part}'" for part in _parts(values))


@STRINGS.add("cat", 0, None)
def _cat(*values: Any) -> str:
    return " ".join(_parts(values))


@STRINGS.add("indent", 2)
def _indent(count: Any, value: Any) -> str:
    pad = " " * bounded(max(0, whole(count)))
    return pad + text(value).replace("\n", f"\n{pad}")


STRINGS.add("nindent", 2)(lambda count, s: f"\n{_indent(count, s)}")

# Lists and dicts, for want of which strings are hard to choose from.
LISTS = Catalog()
LISTS.add("list", 0, None)(lambda *values: list(values))
LISTS.add("first", 1)(lambda values: items(values)[0] if values else None)
LISTS.add("last", 1)(lambda values: items(values)[-1] if values else None)
LISTS.add("rest", 1)(lambda values: items(values)[1:])
LISTS.add("initial", 1)(lambda values: items(values)[:-1])
LISTS.add("append", 2)(lambda values, value: [*items(values), value])
LISTS.add("prepend", 2)(lambda values, value: [value, *items(values)])
LISTS.add("concat", 0, None)(lambda *lists: [each for values in lists for each in items(values)])
LISTS.add("reverse", 1)(lambda values: items(values)[::-1])
LISTS.add("has", 2)(lambda value, values: value in items(values))
LISTS.add("compact", 1)(lambda values: [each for each in items(values) if each])
LISTS.add("without", 1, None)(lambda values, *out: [x for x in items(values) if x not in out])


@LISTS.add("uniq", 1)
def _uniq(values: Any) -> list[Any]:
    found: list[Any] = []
    for each in items(values):
        if each not in found:
            found.append(each)
    return found


@LISTS.add("dict", 0, None, is_pure=False)
def _dict(*pairs: Any) -> dict[str, Any]:
    values = [*pairs, ""] if len(pairs) % 2 else list(pairs)
    return {value_text(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


LISTS.add("get", 2)(lambda named, key: table(named).get(text(key), ""))
LISTS.add("hasKey", 2)(lambda named, key: text(key) in table(named))
LISTS.add("keys", 1, None)(lambda *named: [key for each in named for key in sorted(table(each))])
LISTS.add("values", 1)(lambda named: [table(named)[key] for key in sorted(named)])
LISTS.add("pick", 1, None)(lambda named, *keys: {k: table(named)[k] for k in keys if k in named})
LISTS.add("omit", 1, None)(
    lambda named, *keys: {key: value for key, value in table(named).items() if key not in keys}
)


@LISTS.add("set", 3, is_pure=False)
def _set(named: Any, key: Any, value: Any) -> dict[str, Any]:
    table(named)[text(key)] = value
    return table(named)


@LISTS.add("unset", 2, is_pure=False)
def _unset(named: Any, key: Any) -> dict[str, Any]:
    table(named).pop(text(key), None)
    return table(named)
