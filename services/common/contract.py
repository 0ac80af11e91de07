"""What the protos' options say: who may call, why a call fails, what a field may hold."""

from typing import TYPE_CHECKING, TypeAlias

from google.protobuf import descriptor
from kuji.common.v1 import access_pb2, contract_pb2, reason_facts_pb2
from kuji.common.v1.contract_pb2 import Bounds
from kuji.common.v1.error_reason_pb2 import ErrorReason
from kuji.common.v1.reason_facts_pb2 import ReasonFacts

if TYPE_CHECKING:
    from google._upb import _message

# The stubs of protobuf name both.
FieldDescriptor: TypeAlias = "descriptor.FieldDescriptor | _message.FieldDescriptor"
Descriptor: TypeAlias = "descriptor.Descriptor | _message.Descriptor"
FileDescriptor: TypeAlias = "descriptor.FileDescriptor | _message.FileDescriptor"

_A = access_pb2.Access
_E = ErrorReason
_OF_ALL = {
    _E.ERROR_REASON_INVALID_ARGUMENT,
    _E.ERROR_REASON_INTERNAL,
    _E.ERROR_REASON_UNAVAILABLE,
    _E.ERROR_REASON_OVERLOADED,
}
_OF_ACCESS: dict[int, set[ErrorReason.ValueType]] = {
    _A.ACCESS_PUBLIC: set(),
    _A.ACCESS_USER: {_E.ERROR_REASON_UNAUTHENTICATED},
}
_OF_ROLES = {_E.ERROR_REASON_UNAUTHENTICATED, _E.ERROR_REASON_PERMISSION_DENIED}


def access_of(method: descriptor.MethodDescriptor) -> int:
    """The Access that *method* states; ValueError when it states none."""
    access = int(method.GetOptions().Extensions[access_pb2.access])
    if access == _A.ACCESS_UNSPECIFIED:
        raise ValueError(f"{method.full_name} does not say who may call it")
    return access


def stated_reasons_of(method: descriptor.MethodDescriptor) -> list[ErrorReason.ValueType]:
    """Why *method* can fail, beside the reasons of any RPC of its access."""
    return list(method.GetOptions().Extensions[contract_pb2.reasons])


def reasons_of(method: descriptor.MethodDescriptor) -> frozenset[ErrorReason.ValueType]:
    """Why *method* can fail: the reasons that it states, and those of any RPC of its access."""
    of_access = _OF_ACCESS.get(access_of(method), _OF_ROLES)
    return frozenset(stated_reasons_of(method)) | _OF_ALL | of_access


def events_of(method: descriptor.MethodDescriptor) -> "Descriptor | None":
    """The message that the events of *method* hold; None where it gives none."""
    name = method.GetOptions().Extensions[contract_pb2.events]
    return method.containing_service.file.pool.FindMessageTypeByName(name) if name else None


def bounds_of(field: FieldDescriptor) -> Bounds | None:
    """What *field* of a request may hold; None where it states nothing."""
    options = field.GetOptions()
    return (
        options.Extensions[contract_pb2.bounds]
        if options.HasExtension(contract_pb2.bounds)
        else None
    )


def stated_bounds(message: Descriptor, name: str) -> Bounds:
    """What the field *name* of a request may hold; empty where it states nothing."""
    return bounds_of(message.fields_by_name[name]) or Bounds()


def is_nullable(field: FieldDescriptor) -> bool:
    """Whether *field* is null in JSON while it is unset."""
    return bool(field.GetOptions().Extensions[contract_pb2.nullable])


def is_for_old_clients(method: descriptor.MethodDescriptor) -> bool:
    """Whether *method* is for the clients of the old system; see contract.proto."""
    return _is_of_old_clients(method.containing_service.file)


def is_number_in_json(field: FieldDescriptor) -> bool:
    """Whether *field*, an integer of 64 bits, is a number in JSON instead of a text."""
    assert field.containing_type is not None
    return _is_of_old_clients(field.containing_type.file)


def _is_of_old_clients(file: FileDescriptor) -> bool:
    return bool(file.GetOptions().Extensions[contract_pb2.old_clients])


def facts_of(reason: ErrorReason.ValueType) -> ReasonFacts:
    """Status, HTTP code, metadata and what to do of *reason*."""
    value = ErrorReason.DESCRIPTOR.values_by_number[reason]
    return value.GetOptions().Extensions[reason_facts_pb2.facts]
