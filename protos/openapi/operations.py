"""Routes as operations: what they take, who may call them, what they answer, why they fail."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from kuji.common.v1.access_pb2 import Access
from kuji.common.v1.error_reason_pb2 import ErrorReason

from protos.comments import paragraphs
from protos.openapi.examples import answer_example, failure_example, request_example
from protos.openapi.schemas import Schema, Schemas
from protos.services import Route
from services.common.context import Role
from services.common.contract import (
    Descriptor,
    FieldDescriptor,
    access_of,
    bounds_of,
    events_of,
    facts_of,
    is_for_old_clients,
    reasons_of,
)
from services.common.roles import EVERYONE, ROLES_OF_ACCESS

Reasons = Iterable[ErrorReason.ValueType]

_JSON = "application/json"
_HTTP_BODY = "google.api.HttpBody"
_E = ErrorReason
# What an EventSource sends by itself when it comes back.
_LAST_EVENT_ID: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The same as last_event_id, which it overrules.",
    "schema": {"type": "string", "maxLength": 128},
}
# The version that an edit is made for.
_IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The etag that the edit is made for: where it is another one by now, CONFLICT.",
    "schema": {"type": "string", "maxLength": 64},
}
# What is no JSON: its type, by RPC.
_BYTES = {"GetJwks": _JSON, "StreamRecords": "text/csv", "StreamAuditLog": "text/csv"}


def operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    """What the document says of *route*."""
    rpc = route.rpc
    summary, *more = paragraphs(schemas.text_of(rpc.full_name))
    said: dict[str, Any] = {
        "operationId": f"{_tag(route)}_{rpc.name}",
        "tags": [_tag(route)],
        "summary": summary,
        **({"description": "\n\n".join(more)} if more else {}),
        "security": _security(access_of(rpc)),
    }
    parameters = [_parameter(field, "path", schemas) for field in route.in_path]
    if not route.has_body:
        parameters += [_parameter(field, "query", schemas) for field in _in_query(route)]
    if events_of(rpc) is not None:
        parameters.append(_LAST_EVENT_ID)
    if _is_edit(route):
        parameters.append(_IF_MATCH)
    if parameters:
        said["parameters"] = parameters
    if route.has_body:
        said["requestBody"] = _body(route, schemas)
    return said | {"responses": _responses(route, schemas)}


def _security(access: int) -> list[dict[str, Any]]:
    """The ways to be admitted, of which one is enough; none: nobody is asked for a token."""
    if access == Access.ACCESS_PUBLIC:
        return []
    admitted = ROLES_OF_ACCESS[access]
    if admitted == EVERYONE:
        return [{"accessToken": []}]
    return [{"accessToken": [role.value]} for role in Role if role in admitted]


def _tag(route: Route) -> str:
    return str(route.rpc.containing_service.name).removesuffix("Service")


def _is_edit(route: Route) -> bool:
    return route.verb != "get" and "etag" in route.rpc.input_type.fields_by_name


def _in_query(route: Route) -> list[FieldDescriptor]:
    # A write takes nothing from a query: its header says the etag.
    return [] if route.verb != "get" else route.beside_path


def _parameter(field: FieldDescriptor, place: str, schemas: Schemas) -> dict[str, Any]:
    bounds = bounds_of(field)
    schema = schemas.of_request(field)
    return {
        "name": field.name,
        "in": place,
        "required": place == "path" or bool(bounds and bounds.required),
        "description": schema.pop("description"),
        "schema": schema,
    }


def _body(route: Route, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.body(route.rpc.input_type, route.beside_path)
    content = {"schema": schema, "example": request_example(route)}
    return {"required": True, "content": {_JSON: content}}


def _responses(route: Route, schemas: Schemas) -> dict[str, Any]:
    by_code: dict[int, list[ErrorReason.ValueType]] = defaultdict(list)
    for reason in sorted(_reasons_with_the_edges(route)):
        by_code[_http_code(route, reason)].append(reason)
    business = by_code.pop(200, [])
    if business:
        by_code[400] = sorted({*by_code[400], _E.ERROR_REASON_INVALID_ARGUMENT})
    failures = {
        str(code): schemas.response(f"{code}.{_joined(by_code[code])}", _failure(by_code[code]))
        for code in sorted(by_code)
    }
    rest = {"description": "Any other refusal.", "content": {_JSON: {"schema": _any_failure()}}}
    others = {"default": schemas.response("Refusal", rest)}
    return {"200": _success(route, schemas, business)} | failures | others


def _joined(reasons: Reasons) -> str:
    return ".".join(_name(reason) for reason in reasons)


def _reasons_with_the_edges(route: Route) -> set[ErrorReason.ValueType]:
    reasons = {*reasons_of(route.rpc), _E.ERROR_REASON_RATE_LIMITED}
    return reasons | ({_E.ERROR_REASON_PAYLOAD_TOO_LARGE} if route.has_body else set())


def _http_code(route: Route, reason: ErrorReason.ValueType) -> int:
    facts = facts_of(reason)
    of_the_edge = reason == _E.ERROR_REASON_PAYLOAD_TOO_LARGE
    keeps_code = facts.technical or of_the_edge or not is_for_old_clients(route.rpc)
    return facts.http if keeps_code else 200


def _events(message: Descriptor, schemas: Schemas) -> dict[str, Any]:
    schemas.answer(message)
    text = f"Server-Sent Events; the data of each is one {message.name} as JSON."
    schema = {"type": "string", "description": text}
    return {"description": text, "content": {"text/event-stream": {"schema": schema}}}


def _success(route: Route, schemas: Schemas, business: list[Any]) -> dict[str, Any]:
    rpc = route.rpc
    if (message := events_of(rpc)) is not None:
        return _events(message, schemas)
    if rpc.server_streaming and rpc.output_type.full_name != _HTTP_BODY:
        return _events(rpc.output_type, schemas)
    if rpc.output_type.full_name == _HTTP_BODY:
        return {"description": "As it says.", "content": {_BYTES[rpc.name]: {"schema": {}}}}
    envelope = _envelope(_data(route, schemas))
    content = {"schema": envelope, "example": answer_example(route)}
    if not business:
        return {"description": "It is done.", "content": {_JSON: content}}
    content["schema"] = {"oneOf": [envelope, _failure_schema(business)]}
    text = "It is done (status 1), or refused (status 0): " + _told(business)
    return {"description": text, "content": {_JSON: content}}


def _data(route: Route, schemas: Schemas) -> Schema:
    if not route.unwrap:
        return schemas.answer(route.rpc.output_type)
    return schemas.of_answer(route.rpc.output_type.fields_by_name[route.unwrap])


def _envelope(data: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["status", "msg", "data"],
        "properties": {
            "status": {"type": "integer", "const": 1},
            "msg": {"type": "string", "const": "ok"},
            "data": data,
        },
    }


def _failure(reasons: list[ErrorReason.ValueType]) -> dict[str, Any]:
    content = {"schema": _failure_schema(reasons), "example": failure_example(reasons[0])}
    return {"description": _told(reasons), "content": {_JSON: content}}


def _any_failure() -> Schema:
    return {"$ref": "#/components/schemas/Failure"}


def _failure_schema(reasons: Reasons) -> Schema:
    names = [_name(reason) for reason in reasons]
    narrowed = {"type": "object", "properties": {"reason": {"type": "string", "enum": names}}}
    return {"allOf": [_any_failure(), narrowed | {"required": ["reason"]}]}


def _told(reasons: Reasons) -> str:
    return "\n".join(f"- {_name(reason)}: {facts_of(reason).action}" for reason in reasons)


def _name(reason: ErrorReason.ValueType) -> str:
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


def failure_schema() -> Schema:
    """What every failure looks like."""
    return {
        "type": "object",
        "description": "A failure. Programs look at reason; msg is for people, and may change.",
        "required": ["status", "msg", "reason", "data"],
        "properties": {
            "status": {"type": "integer", "const": 0},
            "msg": {"type": "string", "description": "One sentence."},
            "reason": {
                "type": "string",
                "enum": [_name(reason) for reason in ErrorReason.values() if reason],
            },
            "data": {"type": "null"},
            "metadata": {
                "type": "object",
                "description": "Where the reason has some, e.g. field or retry_after_ms.",
                "additionalProperties": {"type": "string"},
            },
        },
    }
