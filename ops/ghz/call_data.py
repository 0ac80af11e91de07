"""What a template knows of the call that it is applied for."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.descriptor import MethodDescriptor

from ops.ghz.templates.chance import random_uuid

FIELDS = (
    "WorkerID",
    "RequestNumber",
    "FullyQualifiedName",
    "MethodName",
    "ServiceName",
    "InputName",
    "OutputName",
    "IsClientStreaming",
    "IsServerStreaming",
    "Timestamp",
    "TimestampUnix",
    "TimestampUnixMilli",
    "TimestampUnixNano",
    "UUID",
)


@dataclass(frozen=True, slots=True)
class CallNumber:
    """Which call: number *number*, from 0, made by worker *worker*."""

    number: int
    worker: str


class CallData:
    """The fields of ghz's CallData for calls of one method."""

    def __init__(self, method: MethodDescriptor) -> None:
        self._of_method = {
            "FullyQualifiedName": method.full_name,
            "MethodName": method.name,
            "ServiceName": method.containing_service.name,
            "InputName": method.input_type.name,
            "OutputName": method.output_type.name,
            "IsClientStreaming": method.client_streaming,
            "IsServerStreaming": method.server_streaming,
        }

    def of(self, call: CallNumber) -> dict[str, object]:
        """The fields for *call*, with this moment and a new UUID."""
        ns = time.time_ns()
        moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC).astimezone()
        return {
            **self._of_method,
            "WorkerID": call.worker,
            "RequestNumber": call.number,
            "Timestamp": rfc3339(moment),
            "TimestampUnix": ns // 1_000_000_000,
            "TimestampUnixMilli": ns // 1_000_000,
            "TimestampUnixNano": ns,
            "UUID": random_uuid(),
        }


def rfc3339(moment: datetime) -> str:
    """To the second, with Z for UTC."""
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
