"""The tables of envoy/lua that come from the protos, as Lua."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from kuji.common.v1.access_pb2 import Access
from kuji.common.v1.error_reason_pb2 import ErrorReason

from services.common.contract import bounds_of, facts_of, is_for_old_clients, is_nullable
from services.common.enveloped import ENVELOPED
from stack.edge.contract import Route
from stack.edge.routes import event_source_name, for_event_source

# What the edge gives by itself, by the name of its path.
DOCUMENTS = ("openapi.json",)

# Empties the fields that it names; JSON says null instead. See admin.proto.
CLEARED = "cleared_fields"

_INTEGERS = {FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64}
_FREE = {f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue")}

# The winner list is kept for a second; see envoy/lua/kept.lua.
_KEPT = {"kuji.history.v1.HistoryService.ListWinners"}
# A draw of what gives none is answered by the edge; see envoy/lua/closing.lua.
_CLOSES = {"kuji.draw.v1.DrawService.Draw"}
Table = dict[str, object]


@dataclass(frozen=True)
class Document:
    """A file that Envoy reads when it starts; *tag* changes with its content."""

    path: Path
    tag: str


def _body_kind(field: FieldDescriptor) -> object:
    kind: object = True
    if field.message_type and field.message_type.full_name in _FREE:
        return _Code("json.ANY")
    if field.message_type and not field.message_type.full_name.startswith("google."):
        kind = _body(field.message_type)
    return [kind] if field.is_repeated else kind


def _body(message: Descriptor) -> Table:
    return {f.name: _body_kind(f) for f in message.fields if f.name != CLEARED}


def _shape(message: Descriptor, old: bool) -> Table:
    """What is null in *message* while unset, and where its 64-bit integers are; see shape.lua."""
    nulls = {field.name: True for field in message.fields if is_nullable(field)}
    fields = {field.name: _shape_of(field, old) for field in message.fields}
    found: Table = {name: kind for name, kind in fields.items() if kind}
    return {**({_NULLS: nulls} if nulls else {}), **found}


def _shape_of(field: FieldDescriptor, old: bool) -> object:
    if field.message_type and field.message_type.GetOptions().map_entry:
        raise TypeError(f"{field.full_name}: shape.lua knows no maps")
    if field.message_type and not field.message_type.full_name.startswith("google."):
        return _shape(field.message_type, old)
    return "integer" if old and field.type in _INTEGERS else None


def _names_within(message: Descriptor) -> set[str] | None:
    """The fields of the messages in *message*; None: whatever a caller or an operator wrote."""
    if message.GetOptions().map_entry:
        return None
    found: set[str] = set()
    for field in message.fields:
        inner = field.message_type
        if inner is None or inner.full_name == "google.protobuf.Timestamp":
            continue
        deeper = None if inner.full_name.startswith("google.") else _names_within(inner)
        if deeper is None:
            return None
        found |= deeper | {each.name for each in inner.fields}
    return found


def _plain_nulls(message: Descriptor, shape: Table) -> Table | None:
    """
    What stands for *shape* where nothing but nulls at the top of *message* is missing.

    How a name begins that no message in it has → what is written in its place.
    """
    within, nulls = _names_within(message), shape.get(_NULLS)
    if set(shape) != {_NULLS} or within is None or not isinstance(nulls, Mapping):
        return None
    if within & set(nulls) or len(nulls) == len(message.fields):
        return None
    return {f'"{name}":': f',"{name}":null' for name in nulls}


def _answer(route: Route) -> Table:
    if route.rpc.full_name in ENVELOPED:
        return {"enveloped": True}
    message, old = route.rpc.output_type, is_for_old_clients(route.rpc)
    field = message.fields_by_name[route.unwrap] if route.unwrap else None
    shape = _shape_of(field, old) if field else _shape(message, old)
    whole = field.message_type if field and not field.is_repeated else message
    nulls = _plain_nulls(whole, shape) if isinstance(shape, dict) and whole else None
    return {
        "unwrap": route.unwrap or None,
        "shape": None if nulls else shape or None,
        "nulls": nulls,
    }


def _request(route: Route) -> Table:
    names = {
        field.name: True for field in route.message.fields if field.name not in route.variables
    }
    clears = route.message.fields_by_name.get(CLEARED)
    bounds = bounds_of(clears) if clears else None
    return {
        "in_path": {name: route.variable_pattern(name) for name in route.variables},
        "query": dict.fromkeys(names, True) if route.is_read else None,
        "body": _body(route.message) if route.takes_body else None,
        "clears": dict.fromkeys(bounds.one_of, True) if bounds else None,
    }


def _method(route: Route) -> Table:
    entry = {
        **_request(route),
        **({} if route.is_plain else _answer(route)),
        "plain": route.is_plain or None,
        "old": is_for_old_clients(route.rpc) or None,
        "public": route.access == Access.ACCESS_PUBLIC or None,
        "head": route.verb == "HEAD" or None,
        "events": route.is_events or None,
        "closes": route.rpc.full_name in _CLOSES or None,
        "kept": route.rpc.full_name in _KEPT or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _methods(route: Route) -> dict[str, Table]:
    found = {route.name: _method(route)}
    if for_event_source(route):
        found[event_source_name(route)] = {**_method(route), "comes_back": True}
    return found


def _document(name: str) -> Table:
    return {"in_path": {}, "query": {}, "public": True, "plain": True, "document": name}


class _Code(str):
    """An expression of Lua."""

    __slots__ = ()


_NULLS = _Code("shape.NULLS")


def _lua(value: object) -> str:
    match value:
        case _Code():
            return value
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case [only]:
            return f"{{{_lua(only)}}}"
        case Mapping():
            return "{" + ", ".join(f"[{_lua(k)}] = {_lua(v)}" for k, v in value.items()) + "}"
    raise TypeError(f"{value!r} has no place in these tables")


def methods_lua(routes: Iterable[Route]) -> str:
    """The module "methods": RPC → what it takes and gives."""
    entries = {name: entry for route in routes for name, entry in _methods(route).items()}
    entries |= {name: _document(name) for name in DOCUMENTS}
    lines = [f"  [{_lua(name)}] = {_lua(entry)}," for name, entry in entries.items()]
    return "\n".join(
        ['local json, shape = require("json"), require("shape")', "return {", *lines, "}", ""]
    )


def _name(reason: ErrorReason.ValueType) -> str:
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


def contract_lua(documents: Mapping[str, Document], edge_secret: str) -> str:
    """
    The module "contract".

    codes: reason → HTTP code. technical: reasons that keep theirs always. documents: name → the
    path of its file, beside which it lies packed, and its tag. edge_secret: see Edge.
    """
    reasons = [reason for reason in ErrorReason.values() if reason]
    codes = {_name(reason): str(facts_of(reason).http) for reason in reasons}
    technical = {_name(reason): True for reason in reasons if facts_of(reason).technical}
    known = {name: {"path": str(d.path), "tag": d.tag} for name, d in documents.items()}
    table = {
        "codes": codes,
        "technical": technical,
        "documents": known,
        "edge_secret": edge_secret,
    }
    return f"return {_lua(table)}\n"
