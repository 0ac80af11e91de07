"""Examples of requests and answers, made of the bounds of the protos."""

from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.message import Message
from kuji.common.v1.error_reason_pb2 import ErrorReason

from protos.examples import fill
from protos.services import Route
from services.common.contract import FieldDescriptor, facts_of, is_number_in_json

_MOMENT = "2027-01-01T00:00:00Z"
_OF_METADATA = {
    "retry_after_ms": "41000",
    "status": "paused",
    "quota": "draws_per_day",
    "remaining": "3",
    "prize_id": "7",
    "won": "12",
    "trace_id": "1f0c8d3a5b7e4f60a1b2c3d4e5f60718",
}
_TEXTS = {
    "draw_id": "7-1",
    "username": "alice",
    "user_name": "a***e",
    "nickname": "a***e",
    "email": "alice@example.com",
    "status": "ongoing",
    "type": "ichiban",
    "price": "9.90",
    "sc_money": "2.00",
    "goodslist_price": "9.90",
    "goodslist_money": "2.00",
    "color": "#c00000",
    "shang_color": "#c00000",
    "shang_title": "A",
    "time_zone": "UTC",
    "expires_in": "900",
}
_HASHES = ("seed_commitment", "roll", "seed")


def request_example(route: Route) -> dict[str, Any]:
    """A body that *route* takes: what is needed, and what only fits there."""
    message = fill(message_factory.GetMessageClass(route.rpc.input_type)(), whole=False)
    shown = _json(message)
    return {field.name: shown[field.name] for field in route.beside_path if field.name in shown}


def _json(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return shown


def answer_example(route: Route) -> dict[str, Any]:
    """The whole answer of *route*."""
    data = _message(route.rpc.output_type)
    return {"status": 1, "msg": "ok", "data": data[route.unwrap] if route.unwrap else data}


def _message(message: Any) -> dict[str, Any]:  # noqa: ANN401
    return {field.name: _field(field) for field in message.fields}


def _field(field: FieldDescriptor) -> Any:  # noqa: ANN401
    value = _value(field)
    return [value] if field.is_repeated else value


def _value(field: FieldDescriptor) -> Any:  # noqa: ANN401
    if field.message_type is not None:
        is_moment = field.message_type.full_name == "google.protobuf.Timestamp"
        return _MOMENT if is_moment else _message(field.message_type)
    match field.cpp_type:
        case field.CPPTYPE_STRING:
            return "5f" * 32 if field.name in _HASHES else _TEXTS.get(field.name, field.name)
        case field.CPPTYPE_BOOL:
            return True
        case field.CPPTYPE_DOUBLE:
            return 0.05
        case field.CPPTYPE_INT64 if not is_number_in_json(field):
            return "7"
    return 7


def failure_example(reason: ErrorReason.ValueType) -> dict[str, Any]:
    """A failure for *reason*."""
    name, facts = ErrorReason.Name(reason).removeprefix("ERROR_REASON_"), facts_of(reason)
    shown: dict[str, Any] = {"status": 0, "msg": "A sentence.", "reason": name, "data": None}
    metadata = {key: _OF_METADATA.get(key, "name") for key in facts.metadata}
    return shown | ({"metadata": metadata} if metadata else {})
