"""sprig's functions on numbers: whole ones of 64 bits, but floor, ceil and round."""

import math
from typing import Any

from ops.ghz.templates.functions import Catalog, bounded, fraction, number, whole

NUMBERS = Catalog()


def _wrapped(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def _quotient(a: int, b: int) -> int:
    """Towards zero, as Go divides."""
    if b == 0:
        raise ValueError("integer divide by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


NUMBERS.add("int", 1)(number)
NUMBERS.add("int64", 1)(number)
NUMBERS.add("float64", 1)(fraction)
NUMBERS.add("atoi", 1)(lambda value: _atoi(value))
NUMBERS.add("add", 0, None)(lambda *values: _wrapped(sum(map(number, values))))
NUMBERS.add("add1", 1)(lambda value: _wrapped(number(value) + 1))
NUMBERS.add("sub", 2)(lambda a, b: _wrapped(number(a) - number(b)))
NUMBERS.add("mul", 1, None)(lambda *values: _wrapped(math.prod(map(number, values))))
NUMBERS.add("div", 2)(lambda a, b: _quotient(number(a), number(b)))
NUMBERS.add("mod", 2)(lambda a, b: number(a) - number(b) * _quotient(number(a), number(b)))
NUMBERS.add("max", 1, None)(lambda *values: max(map(number, values)))
NUMBERS.add("biggest", 1, None)(lambda *values: max(map(number, values)))
NUMBERS.add("min", 1, None)(lambda *values: min(map(number, values)))
NUMBERS.add("floor", 1)(lambda value: float(math.floor(fraction(value))))
NUMBERS.add("ceil", 1)(lambda value: float(math.ceil(fraction(value))))
NUMBERS.add("until", 1)(lambda count: _until(0, whole(count), 1 if whole(count) >= 0 else -1))
NUMBERS.add("untilStep", 3)(lambda a, b, step: _until(whole(a), whole(b), whole(step)))


def _atoi(value: Any) -> int:
    try:
        return int(str(value), 10)
    except ValueError:
        return 0


def _until(begin: int, end: int, step: int) -> list[int]:
    if step == 0 or (end > begin) != (step > 0):
        return []
    bounded((end - begin) // step)
    return list(range(begin, end, step))


@NUMBERS.add("round", 2, 3)
def _round(value: Any, places: Any, half: Any = 0.5) -> float:
    power = 10.0 ** whole(places)
    digit = power * fraction(value)
    up = math.modf(digit)[0] >= float(half)
    return (math.ceil(digit) if up else math.floor(digit)) / power


@NUMBERS.add("seq", 0, 3)
def _seq(*bounds: Any) -> str:
    """seq end; seq begin end; seq begin step end: numbers with a space between them."""
    given = [whole(each) for each in bounds]
    if not given:
        return ""
    begin = given[0] if len(given) > 1 else 1
    end = given[-1]
    step = given[1] if len(given) == 3 else (1 if end >= begin else -1)
    if step == 0 or (end > begin and step < 0) or (end < begin and step > 0):
        return ""
    bounded(abs(end - begin) // abs(step))
    return " ".join(map(str, range(begin, end + (1 if step > 0 else -1), step)))
