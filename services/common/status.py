"""From error reason to gRPC status, as error_reason.proto has it, and its way onto the wire."""

from collections.abc import Iterable
from typing import Any, cast

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from kuji.common.v1.error_reason_pb2 import ErrorReason

from services.common.contract import facts_of
from services.common.errors import KujiError

DOMAIN = "kuji"
_STATUS_OF_CODE = {status.value[0]: status for status in grpc.StatusCode}
STATUS_OF_REASON: dict[ErrorReason.ValueType, grpc.StatusCode] = {
    reason: _STATUS_OF_CODE[facts_of(reason).code] for reason in ErrorReason.values() if reason
}


def status_of(error: KujiError) -> grpc.StatusCode:
    """The gRPC status that carries *error*."""
    return STATUS_OF_REASON[error.reason]


def details_of(error: KujiError) -> bytes:
    """A serialized google.rpc.Status with ErrorInfo, for the grpc-status-details-bin trailer."""
    info = error_details_pb2.ErrorInfo(
        reason=error.reason_name, domain=DOMAIN, metadata=error.metadata
    )
    detail = any_pb2.Any()
    detail.Pack(info)
    code: int = status_of(error).value[0]
    status = status_pb2.Status(code=code, message=error.message, details=[detail])
    return bytes(status.SerializeToString())


def error_info_of(error: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    """The ErrorInfo that a failed call carries, for callers of stubs; None if it has none."""
    trailers: Iterable[tuple[str, Any]] = cast(Any, error.trailing_metadata()) or ()
    for key, value in trailers:
        if key == "grpc-status-details-bin":
            return _error_info_in(status_pb2.Status.FromString(value))
    return None


def _error_info_in(status: status_pb2.Status) -> error_details_pb2.ErrorInfo | None:
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return None
