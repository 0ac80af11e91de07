"""
JSON that a service writes by itself: the whole answer, with its envelope.

The edge can make JSON of any answer, but that is an eighth of what a draw costs it; a writer made
for one message takes microseconds. So the edge calls what is called most under another name, by
which it gets a google.api.HttpBody, and passes that on. What is in it is what the edge would make.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any

from google.api import annotations_pb2, httpbody_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from services.common.contract import is_nullable

ENVELOPED = frozenset({"kuji.draw.v1.DrawService.Draw"})
_BEFORE, _AFTER = '{"status":1,"msg":"ok","data":', "}"
_TIMESTAMP = "google.protobuf.Timestamp"
_NOT_FINITE = {"inf": '"Infinity"', "-inf": '"-Infinity"', "nan": '"NaN"'}

Writer = Callable[[Any], str]


def name_enveloped(rpc: str) -> str:
    """By which name the RPC that is called *rpc* gives its answers so."""
    return f"{rpc}Enveloped"


def enveloper_of(rpc: MethodDescriptor) -> Callable[[Message], bytes]:
    """
    What makes an HttpBody, as bytes, of an answer to *rpc*.

    Raises:
        TypeError: Its answers hold what is not written here, such as lists.
    """
    name = rpc.GetOptions().Extensions[annotations_pb2.http].response_body
    inner = rpc.output_type.fields_by_name[name].message_type if name else None
    if inner is None:
        raise TypeError(f"{rpc.full_name}: its answer is no message in its response")
    write = object_writer(inner)

    def envelope(response: Message) -> bytes:
        return enveloped(write(getattr(response, name)) if response.HasField(name) else "null")

    return envelope


def enveloped(data: str) -> bytes:
    """The HttpBody with the envelope around *data*, JSON, as bytes."""
    text = f"{_BEFORE}{data}{_AFTER}"
    body = httpbody_pb2.HttpBody(content_type="application/json", data=text.encode())
    return bytes(body.SerializeToString())


def object_writer(message: Descriptor) -> Writer:
    """What writes a *message* as JSON: each field by its name, 64-bit integers as texts."""
    always = [field for field in message.fields if not field.has_presence]
    perhaps = [_perhaps(field) for field in message.fields if field.has_presence]
    assert len(always) > 1, "attrgetter gives no tuple"
    values_of = attrgetter(*(field.name for field in always))
    writers = [_value_writer(field) for field in always]
    frame = "{" + ",".join(f'"{field.name}":%s' for field in always) + "%s}"

    def write(value: Any) -> str:  # noqa: ANN401
        texts = [text_of(one) for text_of, one in zip(writers, values_of(value), strict=True)]
        texts.append("".join([member(value) for member in perhaps]))
        return frame % tuple(texts)

    return write


def _perhaps(field: FieldDescriptor) -> Writer:
    """What writes a member that may be missing; nothing, where it then is not there at all."""
    name, value_of, write = field.name, attrgetter(field.name), _value_writer(field)
    prefix = f',"{name}":'
    missing = f"{prefix}null" if is_nullable(field) else ""
    return lambda message: prefix + write(value_of(message)) if message.HasField(name) else missing


def _value_writer(field: FieldDescriptor) -> Writer:
    if field.is_repeated:
        raise TypeError(f"{field.full_name}: no lists and maps are written here")
    if field.message_type:
        whole = field.message_type
        return _timestamp if whole.full_name == _TIMESTAMP else object_writer(whole)
    writer = _WRITERS.get(field.type)
    if writer is None:
        raise TypeError(f"{field.full_name}: its type is not written here")
    return writer


# The odds of a prize are the same draw after draw.
@lru_cache(1024)
def number_text(value: float) -> str:
    """A number as protobuf prints it."""
    if not math.isfinite(value):
        return _NOT_FINITE[str(value)]
    short = f"{value:.15g}"
    return short if float(short) == value else f"{value:.17g}"


def timestamp_text(seconds: int, nanos: int) -> str:
    """A moment as protobuf prints it, with its quotes."""
    if not nanos:
        return f'"{_second(seconds)}Z"'
    digits = 9 if nanos % 1000 else 6 if nanos % 1_000_000 else 3
    return f'"{_second(seconds)}.{nanos:09d}'[: 21 + digits] + 'Z"'


def _timestamp(value: Any) -> str:  # noqa: ANN401
    return timestamp_text(value.seconds, value.nanos)


# Draws of one second follow each other.
@lru_cache(64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").zfill(19)


_WRITERS: dict[int, Writer] = {
    FieldDescriptor.TYPE_BOOL: {False: "false", True: "true"}.__getitem__,
    FieldDescriptor.TYPE_INT32: str,
    FieldDescriptor.TYPE_INT64: '"%d"'.__mod__,
    FieldDescriptor.TYPE_DOUBLE: number_text,
    FieldDescriptor.TYPE_STRING: encode_basestring,
}
