"""The services' own door to the draws: batches of them, over gRPC."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc

from demo.client import RPC_TIMEOUT_S, Json, Player, bearer, open_channel
from services.common.status import error_info_of
from stack.home import Home
from tests.chaos.told import NO_ANSWER, OK, Line
from tests.support.stacks import StackUnderTest

Wanted = Mapping[tuple[Player, str], draw_pb2.BatchDraw]
# Codes of a connection that is gone, without a word of the house.
_GONE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
_PASSING = frozenset({"UNAVAILABLE", "OVERLOADED"})  # their status, of HTTP, is 503


class Desk:
    """
    Draws in batches, as a service.

    Args:
        channel: To one draw process.
        token: With the role of a service.
    """

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._stub = draw_pb2_grpc.DrawServiceStub(channel)
        self._metadata = bearer(token)

    async def draw(self, wanted: Wanted, line: Line) -> dict[tuple[Player, str], Json]:
        """The draws of *wanted* that were answered, as the edge would show them."""
        request = draw_pb2.DrawBatchRequest(draws=wanted.values())
        try:
            response = await self._stub.DrawBatch(
                request, timeout=RPC_TIMEOUT_S, metadata=self._metadata
            )
        except grpc.aio.AioRpcError as error:
            line.note("batch", _what(error))
            return {}
        drawn = {}
        for place, outcome in zip(wanted, response.outcomes, strict=True):
            if outcome.HasField("error"):
                line.note("batch", _said(outcome.error.reason))
            else:
                line.note("batch", OK)
                drawn[place] = _shown(outcome.result)
        return drawn


def _what(error: grpc.aio.AioRpcError) -> str:
    info = error_info_of(error)
    if info is not None:
        return _said(info.reason)
    return f"{NO_ANSWER if error.code() in _GONE else 'bare'} ({error.code().name})"


def _said(reason: str) -> str:
    return f"503 {reason}" if reason in _PASSING else f"gRPC {reason}"


def _shown(result: draw_pb2.DrawResult) -> Json:
    prize = {"prize_id": result.prize.prize_id, "prize_code": result.prize.prize_code}
    return {
        "draw_id": result.draw_id,
        "won": result.won,
        "prize": prize if result.won else None,
    }


@asynccontextmanager
async def open_desk(stack: StackUnderTest) -> AsyncIterator[Desk]:
    """A desk at *stack*; closed on leaving."""
    secret = Home(stack.home).secrets()["KUJI_SERVICE_SECRET"]
    request = auth_pb2.IssueServiceTokenRequest(service="chaos", secret=secret)
    async with open_channel(stack.grpc["auth"]) as auth, open_channel(stack.grpc["draw"]) as draw:
        issued = await auth_pb2_grpc.AuthServiceStub(auth).IssueServiceToken(
            request, timeout=RPC_TIMEOUT_S, wait_for_ready=True
        )
        yield Desk(draw, issued.access_token)
