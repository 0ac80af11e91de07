"""The health check of containers against a real health service."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer

from services.common import health_check
from stack.ports import free_port


@pytest.fixture(name="address", scope="module")
def _address() -> Iterator[str]:
    """Of a process that lives and is not ready."""
    servicer = HealthServicer()
    servicer.set("live", health_pb2.HealthCheckResponse.SERVING)
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(5)


def _exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["health_check", *arguments])
    with pytest.raises(SystemExit) as ended:
        health_check.main()
    return ended.value.code


def test_health_check_passes_on_what_the_process_says(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SERVING is success, all else is not, and each service is asked for by its name."""
    assert 0 == _exit_code(monkeypatch, address, "live")
    assert 1 == _exit_code(monkeypatch, address)
    assert ["SERVING", "NOT_SERVING"] == capsys.readouterr().out.split()


def test_health_check_says_why_when_there_is_no_answer(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that nobody knows, and a process that is not there, are one sentence each."""
    with pytest.raises(health_check.NoAnswerError, match="does not answer"):
        health_check.status_at(address, "nobody")
    assert "does not answer" in str(_exit_code(monkeypatch, f"127.0.0.1:{free_port()}"))
