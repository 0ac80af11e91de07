"""Each process of a stack in turn is told to end, while clients draw: an operator's update."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import aiohttp
import asyncpg
import httpx
import pytest

from demo.client import Edge, EdgeError, Player, open_channel, open_edge, register_players
from demo.lottery import Answer, DrawCall, by_grpc, by_json
from services.common.outages import is_outage
from stack.home import Home
from tests.support.command import run_kuji
from tests.support.edge import log_in_admin
from tests.support.stacks import StackUnderTest, stack_home

PARTS = ("auth", "draw", "draw-2", "admin", "history", "recorder", "envoy")
PATIENCE_S = 60
DRAWS_BETWEEN = 10
PAUSE_S = 0.02
THINKS_S = 0.1  # who asks without a pause takes the processor from what starts
WAYS = ("grpc-1", "grpc-2", "edge-1", "edge-2", "edge-3")
RETRIABLE = {"UNAVAILABLE", "OVERLOADED"}
READS = ("/api/user/lottery-history", "/api/lottery/prizes", "/api/auth/sessions")
RECORDED = """
SELECT pool_id || '-' || seq AS draw_id, coalesce(prize_id, 0) AS prize_id
FROM lottery_records WHERE activity_id = $1
"""
Got = TypeVar("Got")


def passes(error: Exception) -> bool:
    """Whether *error* is one that a client may be told of: no answer, or one to ask again."""
    if isinstance(error, EdgeError):
        return error.status == 503 and error.reason in RETRIABLE
    return isinstance(error, aiohttp.ClientError) or is_outage(error)


class Crowd:
    """
    Clients who draw without end, each with its own request ids, and repeat what passes.

    Anything else that one is told ends the test: a 401 for a good token, an INTERNAL, a miss of
    the retry.
    """

    def __init__(self) -> None:
        self.drawn: dict[tuple[int, str], Answer] = {}
        self.retried = 0
        self.ways: dict[str, int] = {}
        self._more = asyncio.Condition()
        self.stopping = False

    async def draw(self, way: str, call: DrawCall, player: Player) -> None:
        """Draw by *call* until stopping; each tenth draw is asked for again."""
        number = 0
        while not self.stopping:
            number += 1
            request_id = f"{way}-{number}"
            ask = partial(call, player, request_id)
            answer = (await self._answered(ask))._replace(replayed=True)
            self.drawn[player.user_id, request_id] = answer
            if number % 10 == 0:
                assert answer == await self._answered(ask)
            async with self._more:
                self.ways[way] = self.ways.get(way, 0) + 1
                self._more.notify_all()
            await asyncio.sleep(THINKS_S)

    async def read(self, edge: Edge, player: Player, activity_id: int) -> None:
        """Read what auth and history have, until stopping."""
        while not self.stopping:
            for path in READS:
                query = {"activity_id": activity_id} if "prizes" in path else None
                await self._answered(partial(edge.call, "GET", path, player.token, query=query))
                await asyncio.sleep(THINKS_S)

    async def _answered(self, call: Callable[[], Awaitable[Got]]) -> Got:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await call()
                except Exception as error:
                    if not passes(error):
                        raise
                    self.retried += 1
                await asyncio.sleep(PAUSE_S)

    async def draws_on(self, ways: set[str]) -> None:
        """Return once each of *ways* was answered so many times more."""
        before = {way: self.ways.get(way, 0) for way in ways}
        async with asyncio.timeout(PATIENCE_S), self._more:
            await self._more.wait_for(
                lambda: all(
                    self.ways.get(way, 0) >= count + DRAWS_BETWEEN for way, count in before.items()
                )
            )


@pytest.fixture
async def stack() -> AsyncIterator[StackUnderTest]:
    """A stack of its own with two draw processes."""
    with stack_home() as home:
        settings = {"KUJI_DRAW_PROCESSES": "2", "KUJI_ACCESS_TOKEN_TTL_S": "7200"}
        stack = StackUnderTest(home, settings)
        async with stack.running_beside():
            yield stack


async def open_activity(stack: StackUnderTest) -> int:
    """An activity that lasts."""
    async with httpx.AsyncClient(base_url=stack.edge, timeout=20) as http:
        token = await log_in_admin(http, stack.admin)
        headers = {"authorization": f"Bearer {token}"}

        async def call(method: str, path: str, **body: object) -> int:
            response = await http.request(method, path, json=body, headers=headers)
            assert 200 == response.status_code, response.text
            return int(response.json()["data"]["activity_id"])

        activity_id = await call("POST", "/admin/api/activities", name="Rolling")
        prize = {"name": "Bear", "total_count": 1_000_000, "probability": 0.5}
        await call("POST", "/admin/api/prizes", activity_id=activity_id, **prize)
        return await call("PUT", f"/admin/api/activities/{activity_id}", status="ongoing")


async def restart(stack: StackUnderTest, part: str) -> None:
    """Tell *part* to end, and return once there is another."""
    before = stack.pids()[part]
    os.kill(before, signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        while stack.pids()[part] == before:  # noqa: ASYNC110  # a file tells nobody
            await asyncio.sleep(PAUSE_S)


async def healthy(stack: StackUnderTest) -> None:
    """Return once the edge says that all behind it is ready."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(stack.is_healthy):  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def drawing(stack: StackUnderTest, activity_id: int) -> AsyncIterator[Crowd]:
    """A crowd that draws by the edge and by gRPC of each draw process, and reads."""
    crowd, ports = Crowd(), Home(stack.home).ports()
    async with (
        open_edge(stack.edge, 16) as edge,
        open_channel(f"127.0.0.1:{ports['draw']}") as one,
        open_channel(f"127.0.0.1:{ports['draw-2']}") as two,
        asyncio.TaskGroup() as tasks,
    ):
        reader, *players = await register_players(edge, 1 + len(WAYS), "roller")
        calls = [by_grpc(one, activity_id), by_grpc(two, activity_id)]
        calls += [by_json(edge, activity_id)] * (len(WAYS) - len(calls))
        for way, call, player in zip(WAYS, calls, players, strict=True):
            tasks.create_task(crowd.draw(way, call, player))
        tasks.create_task(crowd.read(edge, reader, activity_id))
        yield crowd
        crowd.stopping = True


async def test_restarts_lose_double_and_refuse_nothing(stack: StackUnderTest) -> None:
    """
    SIGTERM for each process in turn: calls fail for a while at most, and succeed when they are
    repeated. While auth is silent, a draw process and the edge begin anew: no good token is called
    bad by either. In the end Postgres has each draw that was answered, once, and the books balance.
    """
    activity_id = await open_activity(stack)
    async with drawing(stack, activity_id) as crowd:
        for part in PARTS:
            await restart(stack, part)
            await healthy(stack)
            await crowd.draws_on(set(WAYS))
        auth = stack.pids()["auth"]
        os.kill(auth, signal.SIGSTOP)
        try:
            await restart(stack, "envoy")
            await restart(stack, "draw")
            await crowd.draws_on(set(WAYS[:1]))  # by the copy of the keys
        finally:
            os.kill(auth, signal.SIGCONT)
        await healthy(stack)
        await crowd.draws_on(set(WAYS))
    told = sorted((answer.draw_id, answer.prize_id) for answer in crowd.drawn.values())
    assert len(told) == len(dict(told))
    assert told == await recorded(stack, activity_id, len(told))
    code, out, _ = await run_kuji("reconcile", KUJI_HOME=str(stack.home))
    assert (0, "✓ the books balance (1 pool)\n") == (code, out)
    print(f"{len(told)} draws, {crowd.retried} calls repeated")


async def recorded(stack: StackUnderTest, activity_id: int, draws: int) -> list[tuple[str, int]]:
    """Ids and prizes of the draws in Postgres, once there are so many."""
    connection = await asyncpg.connect(stack.postgres)
    try:
        async with asyncio.timeout(PATIENCE_S):
            rows = await connection.fetch(RECORDED, activity_id)
            while len(rows) < draws:
                await asyncio.sleep(PAUSE_S)
                rows = await connection.fetch(RECORDED, activity_id)
    finally:
        await connection.close()
    return sorted((row["draw_id"], row["prize_id"]) for row in rows)
