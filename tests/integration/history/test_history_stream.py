"""The stream of winners, over a real gRPC server, a real Postgres and a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import asyncpg
import grpc
from kuji.history.v1 import history_pb2 as pb
from kuji.history.v1 import history_pb2_grpc
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from services.common.server.serve import build_server
from services.common.settings import ServiceSettings
from services.common.status import error_info_of
from services.history.assembly import HistoryParts
from stack.ports import free_port
from tests.support.history import (
    ANYONE,
    eventually,
    history_of,
    make_pool,
    make_users,
    recording,
    until_recorded,
)
from tests.support.winners import record_wins


@asynccontextmanager
async def served(history: HistoryParts) -> AsyncIterator[history_pb2_grpc.HistoryServiceStub]:
    """*history* behind a gRPC server, and a stub of it."""
    address = f"127.0.0.1:{free_port()}"
    server, _, _ = build_server(history.services, history.verifier, ServiceSettings(listen=address))
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield history_pb2_grpc.HistoryServiceStub(channel)
    await server.stop(1)


async def test_stream_tells_each_winner_to_all_who_listen_until_closed(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Over gRPC: two hear all, one hears its activity, and all streams end cleanly."""
    (user,) = await make_users(postgres, 1)
    first, (prize, _) = await make_pool(postgres, redis)
    second, (other, _) = await make_pool(postgres, redis)
    filters = [0, 0, second.activity_id]
    told: list[list[str]] = [[] for _ in filters]

    async def collect(stub: Any, activity_id: int, into: list[str]) -> None:
        async for message in stub.StreamWinners(pb.StreamWinnersRequest(activity_id=activity_id)):
            into.append(message.draw_id)  # noqa: PERF401  # seen while it grows

    async with (
        history_of(postgres_dsn, redis_url) as history,
        served(history) as stub,
        recording(postgres_dsn, redis_url),
        asyncio.TaskGroup() as tasks,
    ):
        for activity_id, into in zip(filters, told, strict=True):
            tasks.create_task(collect(stub, activity_id, into))
        await eventually(lambda: _subscribers_are(history, 3))
        await first.draw([(user, prize.prize_id)])
        await until_recorded(postgres, first)
        await second.draw([(user, other.prize_id)])
        await eventually(lambda: _lengths_are(told, [2, 2, 1]))
        history.feed.close()
    both = [f"{first.pool_id}-1", f"{second.pool_id}-1"]
    assert [both, both, both[1:]] == told


async def _subscribers_are(history: HistoryParts, count: int) -> bool:
    return len(history.feed._listeners) == count


async def _lengths_are(lists: list[list[str]], lengths: list[int]) -> bool:
    return [len(one) for one in lists] == lengths


async def test_lists_and_streams_go_on_when_redis_is_away(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Without nudges pages come from Postgres still, and the stream looks by itself."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, _) = await make_pool(postgres, redis)
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    async with (
        history_of(postgres_dsn, nowhere, page_age_s=0.05, poll_s=0.05) as history,
        aclosing(history.feed.listen(0, None, "")) as stream,
    ):
        assert 0 == (await anext(stream)).place
        told = asyncio.create_task(anext(stream))
        await eventually(lambda: _subscribers_are(history, 1))
        await writer.draw([(user, prize.prize_id)])
        async with recording(postgres_dsn, redis_url):
            await until_recorded(postgres, writer)
        news = await asyncio.wait_for(told, 60)
        assert [1] == [win.win_no for win in news.wins]

        async def is_listed() -> bool:
            page = await history.servicer.ListWinners(pb.ListWinnersRequest(), ANYONE)
            return len(page.winners) == 1

        await eventually(is_listed)


async def _all_of(stream: Any) -> tuple[list[str], str]:
    """The draws that come, and why no more do."""
    told: list[str] = []
    try:
        async for winner in stream:
            told.append(winner.draw_id)  # noqa: PERF401  # until it fails
    except grpc.aio.AioRpcError as error:
        info = error_info_of(error)
        return told, info.reason if info else str(error)
    return told, ""


def _stopped(reason: str) -> float:
    labels = {"layer": "history", "reason": reason}
    return REGISTRY.get_sample_value("kuji_stopped_total", labels) or 0.0


async def test_messages_go_on_after_a_winner(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """From the winner after one that is known; who reads too slowly is dropped, with a reason."""
    before = _stopped("OVERLOADED")
    await record_wins(postgres, redis, 50)
    async with (
        history_of(postgres_dsn, redis_url, stream_kept=40) as history,
        served(history) as typed,
    ):
        stub: Any = typed
        stream = stub.StreamWinners(pb.StreamWinnersRequest(after_draw_id="1-48"), timeout=60)
        told = [(await anext(aiter(stream))).draw_id for _ in range(2)]
        assert ["1-49", "1-50"] == told
        for draw_id, reason in (("1-2", "INVALID_ARGUMENT"), ("1-999", "NOT_FOUND")):
            request = pb.StreamWinnersRequest(after_draw_id=draw_id)
            refused = stub.StreamWinners(request, timeout=60)
            assert ([], reason) == await _all_of(refused)
        for _ in range(60):  # unread, far more than what the windows on the way hold
            await record_wins(postgres, redis, 100)
        rest, reason = await _all_of(stream)
        told += rest
        assert before + 1 == _stopped("OVERLOADED")
    assert "OVERLOADED" == reason
    assert [f"1-{n}" for n in range(49, 49 + len(told))] == told
