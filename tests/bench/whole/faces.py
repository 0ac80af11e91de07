"""The faces of a stack that the generator calls: what it sends, and what the answers say."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from kuji.draw.v1 import draw_pb2

from services.common.status import error_info_of
from tests.bench.http11 import Connection, connect, request_bytes
from tests.bench.whole.jobs import WholeJob
from tests.load.answers import DrawAnswer
from tests.load.users.tokens import user_of

_CALL_TIMEOUT_S = 20.0
_DRAW = "/api/lottery/draw"
_LIST = "/api/lottery/global-history"
_OK = 200

Call = Callable[[int], Awaitable[bytes]]


class RefusedError(Exception):
    """A call failed, or its answer is not what it should be."""


class Player(NamedTuple):
    """Who draws."""

    user_id: int
    token: str


class Players:
    """Those whose turn it is, one after the other."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._players = [Player(user_of(token), token) for token in tokens]

    def of(self, number: int) -> Player:
        """Who makes draw *number*."""
        return self._players[number % len(self._players)]


def players_of(job: WholeJob) -> Players:
    """Those of *job*; nobody, where nobody draws."""
    return Players(Path(job.tokens).read_text("utf-8").split() if job.tokens else [])


def request_id(job: WholeJob, number: int) -> str:
    """Of draw *number*."""
    return f"{job.name}-{number}"


@asynccontextmanager
async def open_face(job: WholeJob, players: Players) -> AsyncIterator[Call]:
    """
    What makes call *number*, and returns the answer as it came.

    It raises RefusedError where the answer is a failure, or there is none.
    """
    if job.face == "grpc":
        async with grpc.aio.insecure_channel(job.target) as channel:
            await asyncio.wait_for(channel.channel_ready(), _CALL_TIMEOUT_S)
            yield _grpc_call(job, channel, players)
        return
    requests = _list_request if job.face == "list" else _draw_request
    connections = [await connect(job.target) for _ in range(job.in_flight)]
    try:
        yield _json_call(lambda number: requests(job, number, players), connections)
    finally:
        for connection in connections:
            connection.close()


def _draw_request(job: WholeJob, number: int, players: Players) -> bytes:
    body = f'{{"activity_id":"{job.activity_id}","request_id":"{request_id(job, number)}"}}'
    return request_bytes("POST", _DRAW, players.of(number).token, body.encode())


def _list_request(job: WholeJob, number: int, _: Players) -> bytes:
    page = number % job.pages + 1
    query = f"page={page}&page_size={job.page_size}&activity_id={job.activity_id}"
    return request_bytes("GET", f"{_LIST}?{query}")


def _json_call(request_of: Callable[[int], bytes], connections: Sequence[Connection]) -> Call:
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    for connection in connections:
        free.put_nowait(connection)

    async def call(number: int) -> bytes:
        connection = await free.get()
        try:
            response = await connection.ask(request_of(number), _CALL_TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            raise RefusedError(f"{type(error).__name__}: {error}") from error
        finally:
            free.put_nowait(connection)
        if response.status != _OK:
            raise RefusedError(f"HTTP {response.status}: {response.body[:200].decode()}")
        return response.body

    return call


def _grpc_call(job: WholeJob, channel: grpc.aio.Channel, players: Players) -> Call:
    draw = channel.unary_unary(
        "/kuji.draw.v1.DrawService/Draw",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=None,
    )

    async def call(number: int) -> bytes:
        request = draw_pb2.DrawRequest(
            activity_id=job.activity_id, request_id=request_id(job, number)
        )
        bearer = (("authorization", f"Bearer {players.of(number).token}"),)
        try:
            answer: bytes = await draw(request, metadata=bearer, timeout=_CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            info = error_info_of(error)
            raise RefusedError(info.reason if info else repr(error.code())) from error
        return answer

    return call


def draw_answer(job: WholeJob, number: int, answer: bytes, players: Players) -> DrawAnswer | None:
    """
    What draw *number* gave; None: it was told that there is nothing left.

    Raises:
        RefusedError: It is not the answer to a fresh draw.
    """
    told = _told_by_grpc(answer) if job.face == "grpc" else _told_by_json(answer)
    if told["sold_out"]:
        if told["won"] or told["draw_id"]:
            raise RefusedError("sold out, and a draw")
        return None
    if told["replayed"] or request_id(job, number) != told["request_id"]:
        raise RefusedError("the answer to another draw")
    prize = told["prize"] or {"prize_id": 0, "prize_code": ""}
    if bool(prize["prize_id"]) != told["won"] or not told["draw_id"]:
        raise RefusedError("no draw")
    return DrawAnswer(
        players.of(number).user_id,
        told["request_id"],
        told["draw_id"],
        int(prize["prize_id"]),
        prize["prize_code"],
    )


def _told_by_json(answer: bytes) -> dict[str, Any]:
    envelope = json.loads(answer)
    if envelope["status"] != 1:
        raise RefusedError(envelope.get("reason", "no reason"))
    data: dict[str, Any] = envelope["data"]
    return data


def _told_by_grpc(answer: bytes) -> dict[str, Any]:
    result = draw_pb2.DrawResponse.FromString(answer).result
    prize = {"prize_id": result.prize.prize_id, "prize_code": result.prize.prize_code}
    return {
        "replayed": result.replayed,
        "request_id": result.request_id,
        "sold_out": result.sold_out,
        "won": result.won,
        "draw_id": result.draw_id,
        "prize": prize if result.won else None,
    }
