"""Requests that are within the bounds of their protos."""

from typing import Any

from google.protobuf.message import Message
from kuji.common.v1.contract_pb2 import Bounds

from services.common.contract import FieldDescriptor, bounds_of

_TIMESTAMP = "google.protobuf.Timestamp"
_PAIR = "google.protobuf.ListValue"  # of numbers, in all that we have
_MOMENT_S = 1_798_761_600  # 2027-01-01T00:00:00Z


def fill(message: Message, *, whole: bool = True) -> Message:
    """*message* with a fitting value in each field; not *whole*: in those that may not be empty."""
    for field in message.DESCRIPTOR.fields:
        bounds = bounds_of(field) or Bounds()
        if whole or bounds.required or bounds.min_items:
            _fill(message, field, bounds, whole)
    return message


def _fill(message: Message, field: FieldDescriptor, bounds: Bounds, whole: bool) -> None:
    here: Any = getattr(message, field.name)
    if field.message_type is None and field.is_repeated:
        here.append(example_of(field, bounds))
    elif field.message_type is None:
        setattr(message, field.name, example_of(field, bounds))
    elif field.message_type.full_name == _TIMESTAMP:
        here.seconds = _MOMENT_S
    elif field.message_type.full_name == _PAIR:
        here.add().extend([1, 1])
    else:
        inner = here.add() if field.is_repeated else here
        inner.SetInParent()
        fill(inner, whole=whole)


def example_of(field: FieldDescriptor, bounds: Bounds) -> Any:  # noqa: ANN401
    """A value that scalar *field* may hold."""
    if field.enum_type is not None:
        return field.enum_type.values[1].number
    if field.cpp_type == field.CPPTYPE_STRING:
        return text_of(field, bounds)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return True
    if field.cpp_type == field.CPPTYPE_DOUBLE:
        return (bounds.min + bounds.max) / 2
    return max(1, bounds.min)


def text_of(field: FieldDescriptor, bounds: Bounds) -> str:
    """A text that *field* may hold."""
    if bounds.one_of:
        return bounds.one_of[0]
    text = bounds.example or field.name
    return text.ljust(bounds.min_length, "x")[: bounds.max_length]
