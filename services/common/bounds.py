"""What a request's fields may hold, checked before any work: the bounds of its proto, compiled."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from kuji.common.v1.contract_pb2 import Bounds

from services.common.contract import FieldDescriptor, bounds_of
from services.common.errors import InvalidArgumentError

_TIMESTAMP = "google.protobuf.Timestamp"
_FREE = "google.protobuf.ListValue"  # who takes one looks at what is in it
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
_NANOS = 1_000_000_000
_NO_BOUNDS = Bounds()


class Problem(NamedTuple):
    """What is wrong: the path of a field, and the end of a sentence about it."""

    path: str
    verdict: str


_ValueCheck = Callable[[Any], str | None]  # a value's verdict
_FieldCheck = Callable[[Any], Problem | None]  # a message's, for one of its fields
Checks = tuple[_FieldCheck, ...]


def check(message: Message, checks: Checks | None = None) -> None:
    """
    InvalidArgumentError with the path of the first field of *message* that is out of bounds.

    Args:
        checks: Those of its fields, where they are at hand.
    """
    problem = _problem_of(message, checks_of(message.DESCRIPTOR) if checks is None else checks)
    if problem is not None:
        raise InvalidArgumentError(problem.path, f"{problem.path} {problem.verdict}.")


def check_value(field: FieldDescriptor, value: Any) -> None:  # noqa: ANN401
    """InvalidArgumentError with the name of *field*, where it may not hold *value*."""
    value_check = _known_value_check(field)
    verdict = None if value_check is None else value_check(value)
    if verdict is not None:
        raise InvalidArgumentError(field.name, f"{field.name} {verdict}.")


@cache
def _known_value_check(field: FieldDescriptor) -> _ValueCheck | None:
    return _value_check(field, bounds_of(field) or _NO_BOUNDS)


@cache
def checks_of(descriptor: Descriptor) -> Checks:
    """
    The checks of a message's fields.

    Raises:
        ValueError: A field states no bounds.
    """
    return tuple(one for field in descriptor.fields for one in _checks_of_field(field))


def _problem_of(message: Message, checks: Checks) -> Problem | None:
    for field_check in checks:
        problem = field_check(message)
        if problem is not None:
            return problem
    return None


def _checks_of_field(field: FieldDescriptor) -> Iterator[_FieldCheck]:
    bounds = bounds_of(field) or _NO_BOUNDS
    if field.is_repeated:
        yield from _list_checks(field, bounds)
        return
    if field.message_type is not None and field.message_type.full_name != _TIMESTAMP:
        if bounds.required:
            yield _given(field)
        yield from _message_checks(field, bounds)
        return
    value_check = _value_check(field, bounds)
    if bounds.required and value_check is not None and not field.has_presence:
        yield _given_and(field, value_check)
        return
    if bounds.required:
        yield _given(field)
    if value_check is not None:
        yield _if_given(field, value_check)


def _is_given(field: FieldDescriptor) -> Callable[[Any], bool]:
    name = field.name
    if field.has_presence:
        return lambda message: bool(message.HasField(name))
    return lambda message: bool(getattr(message, name))


def _given(field: FieldDescriptor) -> _FieldCheck:
    is_given, missing = _is_given(field), Problem(field.name, "is missing")
    return lambda message: None if is_given(message) else missing


def _given_and(field: FieldDescriptor, value_check: _ValueCheck) -> _FieldCheck:
    # What _given and _if_given say, in one step: each draw of a batch passes here three times.
    name, missing = field.name, Problem(field.name, "is missing")

    def check_field(message: Any) -> Problem | None:  # noqa: ANN401
        value = getattr(message, name)
        if not value:
            return missing
        verdict = value_check(value)
        return None if verdict is None else Problem(name, verdict)

    return check_field


def _if_given(field: FieldDescriptor, value_check: _ValueCheck) -> _FieldCheck:
    name = field.name

    def check_given(message: Any) -> Problem | None:  # noqa: ANN401
        value = getattr(message, name)
        if not value:
            return None
        verdict = value_check(value)
        return None if verdict is None else Problem(name, verdict)

    def check_present(message: Any) -> Problem | None:  # noqa: ANN401
        if not message.HasField(name):
            return None
        verdict = value_check(getattr(message, name))
        return None if verdict is None else Problem(name, verdict)

    return check_present if field.has_presence else check_given


def _message_checks(field: FieldDescriptor, bounds: Bounds) -> Iterator[_FieldCheck]:
    name = field.name
    checks = () if bounds.each_apart else checks_of(field.message_type)

    def check_message(message: Any) -> Problem | None:  # noqa: ANN401
        if not message.HasField(name):
            return None
        problem = _problem_of(getattr(message, name), checks)
        return None if problem is None else Problem(f"{name}.{problem.path}", problem.verdict)

    if checks:
        yield check_message


def _list_checks(field: FieldDescriptor, bounds: Bounds) -> Iterator[_FieldCheck]:
    yield _length_of_list(field, bounds)
    if bounds.each_apart:
        return
    if field.message_type is not None:
        if field.message_type.full_name == _FREE:
            return
        yield from _elements(field, checks_of(field.message_type))
    elif (value_check := _value_check(field, bounds)) is not None:
        yield _values(field, value_check)


def _length_of_list(field: FieldDescriptor, bounds: Bounds) -> _FieldCheck:
    name, at_least, at_most = field.name, bounds.min_items, bounds.max_items
    if not at_most:
        raise ValueError(f"{field.full_name} does not say how many elements it may have")
    problem = Problem(name, f"has {at_least} to {at_most} elements")

    def check_length(message: Any) -> Problem | None:  # noqa: ANN401
        return None if at_least <= len(getattr(message, name)) <= at_most else problem

    return check_length


def _elements(field: FieldDescriptor, checks: Checks) -> Iterator[_FieldCheck]:
    name = field.name

    def check_elements(message: Any) -> Problem | None:  # noqa: ANN401
        for index, element in enumerate(getattr(message, name)):
            problem = _problem_of(element, checks)
            if problem is not None:
                return Problem(f"{name}[{index}].{problem.path}", problem.verdict)
        return None

    if checks:
        yield check_elements


def _values(field: FieldDescriptor, value_check: _ValueCheck) -> _FieldCheck:
    name = field.name

    def check_values(message: Any) -> Problem | None:  # noqa: ANN401
        for index, value in enumerate(getattr(message, name)):
            verdict = value_check(value)
            if verdict is not None:
                return Problem(f"{name}[{index}]", verdict)
        return None

    return check_values


def _value_check(field: FieldDescriptor, bounds: Bounds) -> _ValueCheck | None:
    if field.message_type is not None:
        return _timestamp_verdict
    if field.enum_type is not None:
        return _one_of_numbers({value.number for value in field.enum_type.values if value.number})
    if field.cpp_type == field.CPPTYPE_STRING:
        return _text_check(field, bounds)
    if field.cpp_type == field.CPPTYPE_BOOL or bounds.any_number:
        return None
    return _number_check(field, bounds)


def _one_of_numbers(numbers: set[int]) -> _ValueCheck:
    return lambda value: None if value in numbers else "is none of the values that it may be"


def _number_check(field: FieldDescriptor, bounds: Bounds) -> _ValueCheck:
    low, high = bounds.min, bounds.max
    if not bounds.HasField("min"):
        raise ValueError(f"{field.full_name} does not say which numbers it may hold")
    if not bounds.HasField("max"):
        return lambda value: None if low <= value else f"is at least {low}"
    return lambda value: None if low <= value <= high else f"is {low} to {high}"


def _text_check(field: FieldDescriptor, bounds: Bounds) -> _ValueCheck:
    if bounds.one_of:
        return _one_of_texts(tuple(bounds.one_of))
    low, high, form = bounds.min_length, bounds.max_length, bounds.form
    if not high:
        raise ValueError(f"{field.full_name} does not say how long it may be")
    is_text = field.type == field.TYPE_STRING
    unit = "characters" if is_text else "bytes"
    wrong_length = f"has {low} to {high} {unit}" if low else f"has at most {high} {unit}"
    matches = re.compile(bounds.pattern).fullmatch if bounds.pattern else None

    def check_text(value: Any) -> str | None:  # noqa: ANN401
        if not low <= len(value) <= high:
            return wrong_length
        if is_text and "\0" in value:
            return "must not hold NUL characters"
        return form if matches and not matches(value) else None

    return check_text


def _one_of_texts(texts: tuple[str, ...]) -> _ValueCheck:
    permitted, verdict = frozenset(texts), f"is one of {', '.join(texts)}"
    return lambda value: None if value in permitted else verdict


def _timestamp_verdict(value: Any) -> str | None:  # noqa: ANN401
    if 0 <= value.seconds <= _LAST_SECOND and 0 <= value.nanos < _NANOS:
        return None
    return "lies outside of 1970 to 9999"
