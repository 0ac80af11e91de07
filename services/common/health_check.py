"""
How a process says that it is, by gRPC's health protocol.

As a program, python -m services.common.health_check ADDRESS [NAME], it is what containers run.
"""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_S = 2.0


class NoAnswerError(Exception):
    """Nothing there answers in time, or it knows no such service."""


def status_at(address: str, service: str = "", timeout_s: float = TIMEOUT_S) -> str:
    """
    What the process at *address* says of *service*: "SERVING", "NOT_SERVING", ….

    Args:
        address: host:port where it serves health in the clear.
        service: As health knows it; empty: the process as a whole.
        timeout_s: Bound of the question.

    Raises:
        NoAnswerError: There is none.
    """
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout_s
            )
        except grpc.RpcError as error:
            raise NoAnswerError(f"{address} does not answer: {error.details()}") from error
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def main() -> None:
    """Print the status; exit code 1 where it is not SERVING, or there is none."""
    address, service, *_ = [*sys.argv[1:], ""]
    try:
        status = status_at(address, service)
    except NoAnswerError as error:
        sys.exit(f"kuji: {error}")
    print(status)  # noqa: T201
    sys.exit(0 if status == "SERVING" else 1)


if __name__ == "__main__":
    main()
