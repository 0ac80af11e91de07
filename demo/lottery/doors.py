"""Two ways to one draw: JSON through Envoy, and the gRPC stubs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

import grpc
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc

from demo.edge import Edge
from demo.patience import asked
from demo.rpc import RPC_TIMEOUT_S, bearer, open_channel


class Outcome(NamedTuple):
    """What a draw gave. *prize_id* 0, *prize_code* empty: a miss."""

    draw_id: str
    prize_id: int
    prize_code: str
    replayed: bool


class Ack(NamedTuple):
    """
    An acknowledged draw.

    Args:
        user_id: Who drew.
        request_id: The draw's name, the same in every attempt.
        outcome: What it gave.
        over_grpc: Which way it came.
        attempts: Until it was answered.
        seconds: From the first attempt to the answer.
    """

    user_id: int
    request_id: str
    outcome: Outcome
    over_grpc: bool
    attempts: int
    seconds: float


class Door(Protocol):
    """A way to the draw."""

    async def draw(self, user_id: int, token: str, request_id: str) -> Ack:
        """Draw once, repeating the request id until its outcome is known."""


class Doors(NamedTuple):
    """Both ways."""

    json: Door
    grpc: Door


async def _acknowledged(
    user_id: int, request_id: str, over_grpc: bool, call: Callable[[], Awaitable[Outcome]]
) -> Ack:
    outcome, attempts, seconds = await asked(call)
    return Ack(user_id, request_id, outcome, over_grpc, attempts, seconds)


class JsonDoor:
    """POST /api/lottery/draw."""

    def __init__(self, edge: Edge, activity_id: int) -> None:
        self._edge = edge
        self._activity_id = activity_id

    async def draw(self, user_id: int, token: str, request_id: str) -> Ack:
        """See Door."""
        body = {"activity_id": self._activity_id, "request_id": request_id}

        async def call() -> Outcome:
            data = await self._edge.call("POST", "/api/lottery/draw", token, body)
            prize = data["prize"] or {"prize_id": 0, "prize_code": ""}
            return Outcome(
                data["draw_id"], int(prize["prize_id"]), prize["prize_code"], data["replayed"]
            )

        return await _acknowledged(user_id, request_id, False, call)


class GrpcDoor:
    """DrawService.Draw, from the committed stubs."""

    def __init__(self, channel: grpc.aio.Channel, activity_id: int) -> None:
        self._stub = draw_pb2_grpc.DrawServiceStub(channel)
        self._activity_id = activity_id

    async def draw(self, user_id: int, token: str, request_id: str) -> Ack:
        """See Door."""
        request = draw_pb2.DrawRequest(activity_id=self._activity_id, request_id=request_id)
        metadata = bearer(token)

        async def call() -> Outcome:
            response = await self._stub.Draw(request, metadata=metadata, timeout=RPC_TIMEOUT_S)
            result: draw_pb2.DrawResult = response.result
            return Outcome(
                result.draw_id, result.prize.prize_id, result.prize.prize_code, result.replayed
            )

        return await _acknowledged(user_id, request_id, True, call)


@asynccontextmanager
async def open_doors(edge: Edge, draw_address: str, activity_id: int) -> AsyncIterator[Doors]:
    """Both ways to an activity's draw; closed on leaving."""
    async with open_channel(draw_address) as channel:
        yield Doors(JsonDoor(edge, activity_id), GrpcDoor(channel, activity_id))
