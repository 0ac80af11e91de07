"""The client of the demo and of the load tests: what it repeats, and how long."""

from collections.abc import Callable
from typing import Any

import aiohttp
import grpc
import pytest

from demo.client import EdgeError, asked, passes


def _rpc_error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "", "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EdgeError(503, "UNAVAILABLE", ""), True),
        (EdgeError(429, "RATE_LIMITED", ""), True),
        (EdgeError(429, "COOLDOWN", ""), False),
        (EdgeError(400, "ACTIVITY_NOT_ONGOING", ""), False),
        (EdgeError(500, "INTERNAL", ""), False),
        (aiohttp.ServerDisconnectedError(), True),
        (TimeoutError(), True),
        (_rpc_error(grpc.StatusCode.UNAVAILABLE), True),
        (_rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED), True),
        (_rpc_error(grpc.StatusCode.FAILED_PRECONDITION), False),
        (ValueError(), False),
    ],
)
def test_failure_is_repeated_when_it_may_pass(error: Exception, expected: bool) -> None:
    """What a restart heals is tried again; a refusal is final."""
    assert expected == passes(error)


def _failing(failures: list[Exception]) -> Callable[[], Any]:
    async def call() -> str:
        if failures:
            raise failures.pop(0)
        return "answer"

    return call


async def test_call_is_repeated_until_the_answer_comes() -> None:
    """Two failures that pass cost nothing but time, and the report tells how often it was."""
    call = _failing([TimeoutError(), EdgeError(503, "OVERLOADED", "")])
    answer, attempts, seconds = await asked(call)
    assert ("answer", 3) == (answer, attempts)
    assert 0 < seconds


async def test_refusal_is_final() -> None:
    """It is not repeated."""
    failures: list[Exception] = [EdgeError(401, "UNAUTHENTICATED", ""), TimeoutError()]
    with pytest.raises(EdgeError, match="UNAUTHENTICATED"):
        await asked(_failing(failures))
    assert len(failures) == 1


async def test_last_failure_is_raised_when_patience_is_over() -> None:
    """Nobody waits for ever."""
    with pytest.raises(TimeoutError):
        await asked(_failing([TimeoutError() for _ in range(9)]), patience_s=-1)
