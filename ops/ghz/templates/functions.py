"""What a function of a template is, and how it takes its arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops.ghz.templates.errors import TemplateError
from ops.ghz.templates.text import value_text

LONGEST = 1_000_000  # elements or characters that one call may make


@dataclass(frozen=True)
class Function:
    """
    A function that templates may call.

    Attributes:
        least, most: How many arguments it takes; most None: any number.
        is_pure: The same arguments always give the same.
    """

    name: str
    call: Callable[..., Any]
    least: int
    most: int | None
    is_pure: bool = True

    def check(self, count: int) -> None:
        """TemplateError where it does not take *count* arguments."""
        if count < self.least or (self.most is not None and count > self.most):
            wanted = self.least if self.most == self.least else f"at least {self.least}"
            raise TemplateError(
                f"template: wrong number of args for {self.name}: want {wanted} got {count}"
            )


class Catalog(dict[str, Function]):
    """Functions by name; a module of functions fills one as it is read."""

    def add(
        self, name: str, least: int, most: int | None = -1, is_pure: bool = True
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorator: the function is *name* in templates; *most* is *least* if not given."""

        def register(call: Callable[..., Any]) -> Callable[..., Any]:
            self[name] = Function(name, call, least, least if most == -1 else most, is_pure)
            return call

        return register


def whole(value: object) -> int:
    """For a parameter that is an int: only a whole number will do."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"wrong type for value; expected int; got {value_text(value)}")
    return value


def bounded(count: int) -> int:
    """*count*, where it is not more than one call may make."""
    if count > LONGEST:
        raise ValueError(f"{count} is more than {LONGEST}")
    return count


def text(value: object) -> str:
    """For a parameter that is a string: only a string will do."""
    if not isinstance(value, str):
        raise ValueError(f"wrong type for value; expected string; got {value_text(value)}")
    return value


def number(value: object) -> int:
    """Any value as a whole number, as sprig's arithmetic takes it; what is none is 0."""
    try:
        if isinstance(value, str):
            return int(value, 0)
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (ValueError, TypeError, OverflowError):
        return 0


def fraction(value: object) -> float:
    """Any value as a float; what is none is 0."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        return 0.0


def items(value: object) -> list[Any]:
    """For a parameter that is a list."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"wrong type for value; expected a list; got {value_text(value)}")
    return list(value)


def table(value: object) -> dict[str, Any]:
    """For a parameter that is a dict."""
    if not isinstance(value, dict):
        raise ValueError(f"wrong type for value; expected a dict; got {value_text(value)}")
    return value
