"""What a stranger sends: messages of any kind, within the bounds of their fields and beyond."""

import random
import string
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from kuji.common.v1.contract_pb2 import Bounds

from services.common.contract import Descriptor, FieldDescriptor, bounds_of

_NUMBERS = (0, 1, 2, 7, -1, 2**31 - 1, 2**31, 2**52, 2**53, 2**62, 2**63 - 1, -(2**63))
_TEXTS = (
    "",
    "0",
    "a",
    "\u200b",
    "\u202e",
    "a\u0301" * 40,
    "\ufdfa" * 200,
    "漢字",
    "\U0001f3b1",
    "'; DROP TABLE users; --",
    "../../etc/passwd",
    "{{7*7}}",
    "%ff%00",
    "a\nb\tc",
    "\0",
    "x" * 5_000,
)
_FEW = 3  # elements of a list
_UNKNOWN_FIELD = b"\xfa\xff\xff\xff\x0f\x03?!?"  # the largest number that a field can have


def _no_text(content: bytes) -> bytes:
    return bytes(0xFF if byte in b"aeiou" else byte for byte in content)


_LISTS: tuple[list[Any], ...] = (
    [],
    [1, 1],
    [1.5, 2, 3],
    [-1, 1e300],
    ["a", None],
    [[[1]], {"a": 1}],
)


class Stranger:
    """
    Makes messages at random.

    Args:
        seed: The same one makes the same messages.
        known: By name of a field: values of it that name something.
        is_wild: Whether fields go beyond their bounds, too.
    """

    def __init__(
        self, seed: int, known: Mapping[str, Sequence[Any]] | None = None, *, is_wild: bool = True
    ) -> None:
        self._random = random.Random(seed)
        self._known = known or {}
        self._is_wild = is_wild

    def message(self, descriptor: Descriptor) -> Message:
        """A message; most of its fields are given."""
        message: Message = GetMessageClass(descriptor)()  # type: ignore[arg-type]
        for field in descriptor.fields:
            bounds = bounds_of(field) or Bounds()
            if bounds.required or self._random.random() < 0.7:
                self._give(message, field, bounds)
        return message

    def noise(self) -> bytes:
        """What is no message, most likely."""
        return self._random.randbytes(self._random.choice((1, 2, 7, 64, 4096)))

    def spoilt(self, message: Message) -> bytes:
        """*message* cut short, with a field that nobody knows, or with text that is no UTF-8."""
        content = message.SerializeToString()
        at = self._random.randrange(len(content) + 1)
        return self._random.choice(
            (content[:at], content + _UNKNOWN_FIELD, _UNKNOWN_FIELD + content, _no_text(content))
        )

    def _give(self, message: Any, field: FieldDescriptor, bounds: Bounds) -> None:
        if not field.is_repeated:
            if field.message_type is None:
                self._set(message, field, bounds)
            else:
                getattr(message, field.name).CopyFrom(self.message(field.message_type))
            return
        values = getattr(message, field.name)
        for _ in range(self._random.randrange(max(1, bounds.min_items), _FEW + 1)):
            if field.message_type is None:
                values.append(self._value(field, bounds))
            elif field.message_type.full_name == "google.protobuf.ListValue":
                values.add().extend(self._random.choice(_LISTS))
            else:
                values.add().CopyFrom(self.message(field.message_type))

    def _set(self, message: Any, field: FieldDescriptor, bounds: Bounds) -> None:
        value = self._value(field, bounds)
        try:
            setattr(message, field.name, value)
        except (ValueError, UnicodeEncodeError):  # no such number in a field of 32 bits
            setattr(message, field.name, type(value)(1))

    def _value(self, field: FieldDescriptor, bounds: Bounds) -> Any:
        known = self._known.get(field.name)
        if known and self._random.random() < 0.6:
            return self._random.choice(known)
        if field.cpp_type == field.CPPTYPE_BOOL:
            return self._random.random() < 0.5
        if field.enum_type is not None:
            return self._random.choice([*field.enum_type.values_by_number, 99])
        if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
            return self._random.choice((0.0, 0.5, 1.0, -1.0, 1e300, float("inf"), float("nan")))
        if field.cpp_type == field.CPPTYPE_STRING:
            text = self._text(bounds)
            return text if field.type == field.TYPE_STRING else text.encode()
        return self._number(bounds)

    def _number(self, bounds: Bounds) -> int:
        if self._is_beyond():
            edges = (
                [max(bounds.min, 1 - 2**63) - 1, min(bounds.max, 2**63 - 2) + 1]
                if bounds.HasField("max")
                else []
            )
            return self._random.choice((*_NUMBERS, *edges))
        low = bounds.min if bounds.HasField("min") else 0
        high = bounds.max if bounds.HasField("max") else 2**31
        return self._random.choice((low, high, self._random.randint(low, min(high, low + 20))))

    def _text(self, bounds: Bounds) -> str:
        if self._is_beyond():
            return self._random.choice(_TEXTS)
        if bounds.one_of:
            return self._random.choice(bounds.one_of)
        if bounds.example:
            return bounds.example
        length = self._random.choice((bounds.min_length or 1, 8, min(bounds.max_length, 200) or 8))
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=length))

    def _is_beyond(self) -> bool:
        return self._is_wild and self._random.random() < 0.25
