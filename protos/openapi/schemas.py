"""Messages as JSON schemas: what a request may hold, and what an answer holds."""

from collections.abc import Iterable, Mapping
from typing import Any

from kuji.common.v1.contract_pb2 import Bounds

from protos.comments import paragraphs
from services.common.contract import (
    Descriptor,
    FieldDescriptor,
    bounds_of,
    is_nullable,
    is_number_in_json,
)

Schema = dict[str, Any]

_TIMESTAMP = "google.protobuf.Timestamp"
_PAIR = "google.protobuf.ListValue"  # of numbers, in all that we have
_WHOLE_NUMBER = "^-?[0-9]{1,19}$"
_CLEARED = "cleared_fields"  # in JSON, null in their place


class Schemas:
    """
    The schemas of a document.

    Args:
        comments: Of the protos, by full name.
    """

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.components: dict[str, Schema] = {}
        self.responses: dict[str, dict[str, Any]] = {}

    def response(self, name: str, response: dict[str, Any]) -> Schema:
        """A reference to *response*, which many operations share."""
        self.responses[name] = response
        return {"$ref": f"#/components/responses/{name}"}

    def answer(self, message: Descriptor) -> Schema:
        """A reference to what an answer of *message* holds."""
        name = name_of(message)
        if name not in self.components:
            self.components[name] = {}  # known from here on
            self.components[name] = self._object(
                message,
                {field.name: self.of_answer(field) for field in message.fields},
                [field.name for field in message.fields],
            )
        return _reference(name)

    def body(self, message: Descriptor, fields: Iterable[FieldDescriptor]) -> Schema:
        """A reference to the body of a request: *fields* of *message*, and nothing else."""
        cleared = cleared_of(message)
        taken = [field for field in fields if field.name != _CLEARED]
        properties = {
            field.name: _or_null(self.of_request(field))
            if field.name in cleared
            else self.of_request(field)
            for field in taken
        }
        needed = [field.name for field in taken if _bounds(field).required]
        name = name_of(message)
        self.components[name] = self._object(message, properties, needed)
        self.components[name]["additionalProperties"] = False
        return _reference(name)

    def _object(self, message: Descriptor, properties: Schema, required: list[str]) -> Schema:
        schema: Schema = {"type": "object", "description": self.text_of(message.full_name)}
        if required:
            schema["required"] = required
        return schema | {"properties": properties}

    def of_answer(self, field: FieldDescriptor) -> Schema:
        """What *field* of an answer holds."""
        schema = self._value(field)
        if field.is_repeated:
            schema = {"type": "array", "items": schema}
        if is_nullable(field):
            schema = _or_null(schema)
        return self._described(field, schema)

    def _value(self, field: FieldDescriptor) -> Schema:
        if field.message_type is None:
            return _scalar(field)
        if field.message_type.full_name == _TIMESTAMP:
            return {"type": "string", "format": "date-time"}
        return self.answer(field.message_type)

    def of_request(self, field: FieldDescriptor) -> Schema:
        """What *field* of a request may hold."""
        bounds = _bounds(field)
        if field.message_type is not None and field.message_type.full_name == _PAIR:
            return self._described(field, _pairs(bounds))
        if field.message_type is not None:
            if field.message_type.full_name != _TIMESTAMP or field.is_repeated:
                raise ValueError(f"{field.full_name}: JSON requests hold no messages yet")
            return self._described(field, {"type": "string", "format": "date-time"})
        schema = _bounded(field, bounds)
        if field.is_repeated:
            schema = {"type": "array", "items": schema}
            schema |= {"minItems": bounds.min_items, "maxItems": bounds.max_items}
        return self._described(field, schema)

    def _described(self, field: FieldDescriptor, schema: Schema) -> Schema:
        return {"description": self.text_of(field.full_name)} | schema

    def text_of(self, full_name: str) -> str:
        """The comment of what is called *full_name*."""
        return "\n\n".join(paragraphs(self._comments.get(full_name, "")))


def _pairs(bounds: Bounds) -> Schema:
    pair = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    return {"type": "array", "items": pair, "maxItems": bounds.max_items}


def name_of(message: Descriptor) -> str:
    """Its name among the schemas, e.g. "draw.DrawResult"."""
    return f"{message.file.package.split('.')[1]}.{message.name}"


def cleared_of(message: Descriptor) -> set[str]:
    """The fields of an update that null empties."""
    field = message.fields_by_name.get(_CLEARED)
    return set(_bounds(field).one_of) if field is not None else set()


def _bounds(field: FieldDescriptor) -> Bounds:
    return bounds_of(field) or Bounds()


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return schema | {"type": [*kinds, "null"]} | more


def _scalar(field: FieldDescriptor) -> Schema:
    match field.cpp_type:
        case field.CPPTYPE_BOOL:
            return {"type": "boolean"}
        case field.CPPTYPE_STRING if field.type == field.TYPE_STRING:
            return {"type": "string"}
        case field.CPPTYPE_DOUBLE:
            return {"type": "number", "format": "double"}
        case field.CPPTYPE_INT32:
            return {"type": "integer", "format": "int32"}
        case field.CPPTYPE_UINT32:
            return {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
        case field.CPPTYPE_INT64 if is_number_in_json(field):
            return {"type": "integer", "format": "int64"}
        case field.CPPTYPE_INT64:
            return {"type": "string", "format": "int64", "pattern": _WHOLE_NUMBER}
    raise ValueError(f"{field.full_name}: JSON answers hold no such type yet")


def _bounded(field: FieldDescriptor, bounds: Bounds) -> Schema:
    if field.cpp_type == field.CPPTYPE_STRING:
        return {"type": "string"} | _text_bounds(bounds)
    schema = _scalar(field)
    if field.cpp_type == field.CPPTYPE_INT64:
        schema = {"type": ["integer", "string"], "format": "int64", "pattern": _WHOLE_NUMBER}
    if bounds.HasField("min"):
        schema["minimum"] = bounds.min
    if bounds.HasField("max"):
        schema["maximum"] = bounds.max
    return schema


def _text_bounds(bounds: Bounds) -> Schema:
    if bounds.one_of:
        return {"enum": [*bounds.one_of]}
    schema: Schema = {"maxLength": bounds.max_length}
    if bounds.min_length:
        schema["minLength"] = bounds.min_length
    if bounds.pattern:
        schema["pattern"] = bounds.pattern
    return schema
