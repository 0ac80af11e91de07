"""Values of options, as a flag or a file gives them, become what GhzOptions holds."""

from collections.abc import Callable, Mapping
from typing import Any

from ops.errors import OperatorError
from ops.ghz.notation import parse_bytes, parse_duration, read_json
from ops.ghz.options import Option, OptionKind

_LARGEST = 2**63 - 1
_YES = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def value_of(option: Option, given: object) -> Any:
    """What *given* means; OperatorError that names the option where it means nothing."""
    try:
        value = _READERS[option.kind](given)
    except ValueError as error:
        raise OperatorError(f"{option.name}: {error}") from None
    if option.choices and value not in option.choices:
        raise OperatorError(f'{option.name}: "{value}" is none of {", ".join(option.choices)}')
    return value


def flag_value_of(option: Option, given: str) -> Any:
    """The same for a flag, whose tables and data come as JSON in a text."""
    if option.kind is OptionKind.TABLE or (option.kind is OptionKind.JSON and given.strip() != "@"):
        return value_of(option, read_json(given, option.name)) if given.strip() else None
    if option.kind is OptionKind.LIST:
        return value_of(option, [part for part in given.split(",") if part.strip()])
    return value_of(option, given)


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise ValueError(f"a text is wanted, not {given!r}")
    return given.strip()


def _flag(given: object) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.lower() in _YES:
        return _YES[given.lower()]
    raise ValueError(f"true or false is wanted, not {given!r}")


def _number(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, (int, str)):
        raise ValueError(f"a whole number is wanted, not {given!r}")
    try:
        number = int(given)
    except ValueError:
        raise ValueError(f"a whole number is wanted, not {given!r}") from None
    if abs(number) > _LARGEST:
        raise ValueError(f"{number} is too large")
    return number


def _count(given: object) -> int:
    if (number := _number(given)) < 0:
        raise ValueError(f"{number} is negative")
    return number


def _duration(given: object) -> int:
    if (ns := parse_duration(str(given))) < 0:
        raise ValueError(f"{given} is negative")
    return ns


def _size(given: object) -> int:
    return parse_bytes(str(given)) if str(given).strip() else 0


def _list(given: object) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise ValueError(f"a list of texts is wanted, not {given!r}")
    return tuple(_text(each) for each in given)


def _table(given: object) -> dict[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise ValueError(f"an object of texts is wanted, not {given!r}")
    return {str(name): value for name, value in given.items()}


def _data(given: object) -> Any:
    """An object, a list of objects, or "@"."""
    if given is None or given == "@" or isinstance(given, dict):
        return given
    if isinstance(given, list) and given and all(isinstance(each, dict) for each in given):
        return given
    raise ValueError("an object or a list of objects is wanted")


_READERS: Mapping[OptionKind, Callable[[object], Any]] = {
    OptionKind.TEXT: _text,
    OptionKind.FLAG: _flag,
    OptionKind.COUNT: _count,
    OptionKind.NUMBER: _number,
    OptionKind.DURATION: _duration,
    OptionKind.SIZE: _size,
    OptionKind.LIST: _list,
    OptionKind.TABLE: _table,
    OptionKind.JSON: _data,
}
