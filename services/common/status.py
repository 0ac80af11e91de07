"""The one table from error reason to gRPC status, and its way onto the wire."""

from collections.abc import Iterable
from typing import Any, cast

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from kuji.common.v1.error_reason_pb2 import ErrorReason

from services.common.errors import KujiError

DOMAIN = "kuji"
_E = ErrorReason
_S = grpc.StatusCode

# The HTTP code beside each is what Envoy makes of the status; see envoy/.
STATUS_OF_REASON: dict[ErrorReason.ValueType, grpc.StatusCode] = {
    _E.ERROR_REASON_UNAUTHENTICATED: _S.UNAUTHENTICATED,  # 401
    _E.ERROR_REASON_PERMISSION_DENIED: _S.PERMISSION_DENIED,  # 403
    _E.ERROR_REASON_INVALID_ARGUMENT: _S.INVALID_ARGUMENT,  # 400
    _E.ERROR_REASON_NOT_FOUND: _S.NOT_FOUND,  # 404
    _E.ERROR_REASON_INTERNAL: _S.INTERNAL,  # 500
    _E.ERROR_REASON_UNAVAILABLE: _S.UNAVAILABLE,  # 503
    _E.ERROR_REASON_OVERLOADED: _S.UNAVAILABLE,  # 503
    _E.ERROR_REASON_RATE_LIMITED: _S.RESOURCE_EXHAUSTED,  # 429
    _E.ERROR_REASON_PAYLOAD_TOO_LARGE: _S.INVALID_ARGUMENT,  # 413, made by Envoy
    _E.ERROR_REASON_USERNAME_TAKEN: _S.ALREADY_EXISTS,  # 409
    _E.ERROR_REASON_BAD_CREDENTIALS: _S.UNAUTHENTICATED,  # 401
    _E.ERROR_REASON_ACTIVITY_NOT_FOUND: _S.NOT_FOUND,  # 404
    _E.ERROR_REASON_ACTIVITY_NOT_ONGOING: _S.FAILED_PRECONDITION,  # 400
    _E.ERROR_REASON_COOLDOWN: _S.RESOURCE_EXHAUSTED,  # 429
    _E.ERROR_REASON_QUOTA_SPENT: _S.RESOURCE_EXHAUSTED,  # 429
    _E.ERROR_REASON_USER_BLOCKED: _S.PERMISSION_DENIED,  # 403
    _E.ERROR_REASON_SOLD_OUT: _S.FAILED_PRECONDITION,  # 400
    _E.ERROR_REASON_REQUEST_ID_REUSED: _S.INVALID_ARGUMENT,  # 400
    _E.ERROR_REASON_UNITS_BELOW_WON: _S.FAILED_PRECONDITION,  # 400
    _E.ERROR_REASON_CONFLICT: _S.ABORTED,  # 409
    _E.ERROR_REASON_POOL_NOT_LOADED: _S.UNAVAILABLE,  # 503
    _E.ERROR_REASON_GOODS_NOT_FOUND: _S.NOT_FOUND,  # 404
    _E.ERROR_REASON_GOODS_OFF_SHELF: _S.FAILED_PRECONDITION,  # 400
    _E.ERROR_REASON_BOX_PROTECTED: _S.FAILED_PRECONDITION,  # 400
    _E.ERROR_REASON_ORDER_CONFLICT: _S.ABORTED,  # 409
    _E.ERROR_REASON_ITEM_CARD_INVALID: _S.FAILED_PRECONDITION,  # 400
    _E.ERROR_REASON_ITEM_CARD_USED: _S.FAILED_PRECONDITION,  # 400
    _E.ERROR_REASON_ITEMS_FIXED: _S.FAILED_PRECONDITION,  # 400
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
