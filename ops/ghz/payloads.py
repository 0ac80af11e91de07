"""The messages that are sent, as bytes, and the metadata that goes with them."""

import base64
import binascii
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined]
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from ops.errors import OperatorError
from ops.ghz.call_data import CallData, CallNumber
from ops.ghz.config_file import read_file
from ops.ghz.notation import json_text, read_json, sorted_json
from ops.ghz.options import GhzOptions
from ops.ghz.templates.catalog import FUNCTIONS
from ops.ghz.templates.evaluator import Template
from ops.ghz.templates.functions import Function
from ops.ghz.templates.standard import STANDARD

Metadata = tuple[tuple[str, str | bytes], ...]


def data_text(options: GhzOptions) -> str:
    """The data as JSON with templates in it."""
    if options.data == "@":
        return stdin_text()
    if options.data_file:
        return read_file(Path(options.data_file), "data-file").decode()
    return json_text(sorted_json(options.data))


@cache
def stdin_text() -> str:
    """All that stands on stdin; the report tells it again."""
    return sys.stdin.read()


def metadata_text(options: GhzOptions) -> str:
    """The metadata as JSON with templates in it."""
    if options.metadata_file:
        return read_file(Path(options.metadata_file), "metadata-file").decode()
    return json_text(sorted_json(options.metadata))


def template_of(options: GhzOptions, source: str) -> Template | None:
    """The template in *source*; None where there is nothing to apply."""
    if options.disable_template_data:
        return None
    template = Template(source, _functions(options))
    return template if template.has_action else None


def _functions(options: GhzOptions) -> Mapping[str, Function]:
    return STANDARD if options.disable_template_functions else FUNCTIONS


class Payloads:
    """Messages for calls of one method; those without templates are made once."""

    is_dynamic = False

    def __init__(self, options: GhzOptions, method: MethodDescriptor, call_data: CallData) -> None:
        self._message = GetMessageClass(method.input_type)
        self._call_data = call_data
        self._is_stream_in = method.client_streaming
        self._templates: list[Template] = []
        self._whole: Template | None = None
        self._messages: Sequence[bytes] = ()
        if options.binary or options.binary_file:
            self._messages = self._binary(options)
        else:
            self._read(options, data_text(options))
        if not self._messages and self._whole is None and not self._is_stream_in:
            raise OperatorError("no data provided for request")

    def _read(self, options: GhzOptions, source: str) -> None:
        self._whole = template_of(options, source)
        self._elements = _elements_of(source)
        if self._whole is None:
            self._messages = self._parsed(source)
        elif self._elements:
            self._templates = [Template(each, _functions(options)) for each in self._elements]
        elif options.stream_dynamic_messages:
            self._templates = [self._whole]
        self.is_dynamic = options.stream_dynamic_messages and self._is_stream_in
        if self.is_dynamic and self._whole is None:
            raise OperatorError("stream-dynamic-messages needs data with templates")

    def one(self, call: CallNumber) -> bytes:
        """The message of a call that sends one: in turn, where the data is a list."""
        if self._whole is None:
            return self._messages[call.number % len(self._messages)]
        if self._templates:
            template = self._templates[call.number % len(self._templates)]
            return self._parsed(template.apply(self._call_data.of(call)))[0]
        messages = self._parsed(self._whole.apply(self._call_data.of(call)))
        return messages[call.number % len(messages)]

    def stream(self, call: CallNumber, count: int) -> Iterator[bytes]:
        """The messages of a call that sends many: all, or *count* of them over and over."""
        if self.is_dynamic:
            yield from self._anew(call, count)
            return
        messages = self._messages
        if self._whole is not None:
            messages = self._parsed(self._whole.apply(self._call_data.of(call)))
        for place in range(count or len(messages)):
            if messages:
                yield messages[place % len(messages)]

    def _anew(self, call: CallNumber, count: int) -> Iterator[bytes]:
        for place in range(count or len(self._elements)):
            template = self._templates[place % len(self._templates)]
            yield self._parsed(template.apply(self._call_data.of(call)))[0]

    def _parsed(self, source: str) -> list[bytes]:
        value = read_json(source, "data")
        return [self._serialized(each) for each in (value if isinstance(value, list) else [value])]

    def _serialized(self, value: Any) -> bytes:
        try:
            return ParseDict(value or {}, self._message()).SerializeToString()
        except (ParseError, AttributeError, TypeError) as error:
            raise OperatorError(f"data does not fit {self._name}: {error}") from None

    @property
    def _name(self) -> str:
        return str(self._message.DESCRIPTOR.full_name)

    def _binary(self, options: GhzOptions) -> list[bytes]:
        """Messages with their lengths before them, or one without."""
        if options.binary_file:
            data = read_file(Path(options.binary_file), "binary-file")
        else:
            data = sys.stdin.buffer.read()
        try:
            found = list(_counted(data, self._message))
        except (DecodeError, IndexError):
            found = []
        try:
            return found or ([self._message.FromString(data).SerializeToString()] if data else [])
        except DecodeError as error:
            raise OperatorError(f"binary data does not fit {self._name}: {error}") from None


def _counted(data: bytes, message: type[Message]) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        size, begin = _DecodeVarint32(data, place)
        if begin + size > len(data):
            return
        yield message.FromString(data[begin : begin + size]).SerializeToString()
        place = begin + size


def _elements_of(source: str) -> list[str]:
    """The elements of a list, each as JSON; none where the data is no list."""
    if not source.startswith("["):
        return []
    return [json_text(sorted_json(each)) for each in _list(read_json(source, "data"))]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


class MetadataSource:
    """The metadata of calls; without templates it is made once."""

    def __init__(self, options: GhzOptions, call_data: CallData) -> None:
        source = metadata_text(options)
        self._template = template_of(options, source)
        self._call_data = call_data
        self._fixed = () if self._template else _pairs(read_json(source, "metadata"))

    def of(self, call: CallNumber) -> Metadata:
        """For *call*."""
        if self._template is None:
            return self._fixed
        text = self._template.apply(self._call_data.of(call))
        return _pairs(read_json(text, "metadata"))


def _pairs(value: object) -> Metadata:
    if value is None:
        return ()
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise OperatorError("metadata is not an object of texts")
    return tuple((name.lower(), _value(name, text)) for name, text in value.items())


def _value(name: str, text: str) -> str | bytes:
    if not name.lower().endswith("-bin"):
        return text
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise OperatorError(f"metadata: {name} is not base64: {error}") from None


def as_reported(source: str) -> Mapping[str, Any] | Any:
    """Data or metadata as a report shows it; None where it is JSON only once applied."""
    try:
        return sorted_json(json.loads(source))
    except ValueError:
        return None
