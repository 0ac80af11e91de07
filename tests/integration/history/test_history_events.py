"""The winners' stream, through a real Envoy, from a history process that dies and comes back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.contract.edge_rig import Rig, running_rig
from tests.support.event_source import EventSource
from tests.support.history_process import HistoryProcess, history_process
from tests.support.winners import record_wins

STREAM = "/api/lottery/global-history/stream"
LIST = "/api/lottery/global-history"
KEPT = 40
_PATIENCE_S = 60


class Stage:
    """The edge, the history process behind it, and who records wins."""

    def __init__(
        self, rig: Rig, process: HistoryProcess, postgres: asyncpg.Pool, redis: Redis
    ) -> None:
        self.rig = rig
        self.process = process
        self._postgres = postgres
        self._redis = redis

    async def win(self, count: int = 1, activity_id: int = 1) -> list[int]:
        """The numbers of so many new wins."""
        return await record_wins(self._postgres, self._redis, count, activity_id)

    @asynccontextmanager
    async def listening(
        self, query: str = "", last_event_id: str = ""
    ) -> AsyncIterator[EventSource]:
        """An EventSource that is open."""
        source = EventSource(self.rig.http, STREAM + query)
        source.last_event_id = last_event_id
        task = asyncio.create_task(source.run())
        await source.until(lambda: bool(source.opened or source.is_closed_for_good))
        try:
            yield source
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def stage(
    tmp_path: Path, postgres: asyncpg.Pool, postgres_dsn: str, redis: Redis, redis_url: str
) -> AsyncIterator[Stage]:
    """Healthy, with short times and small bounds."""
    settings = {
        "stream_heartbeat_s": 0.2,
        "stream_kept": KEPT,
        "stream_listeners": 4,
        "stream_listeners_of_address": 3,
    }
    async with running_rig(tmp_path, missing="history", trusted_hops=1) as rig:
        (address,) = rig.edge.upstreams["history"]
        async with history_process(address, postgres_dsn, redis_url, **settings) as process:
            await rig.wait_for_health(200, _PATIENCE_S)
            yield Stage(rig, process, postgres, redis)


def ids(source: EventSource) -> list[int]:
    """Those of the winners heard."""
    return [int(event.id) for event in source.events if event.name == "message"]


async def test_listener_survives_a_death_and_gets_what_it_missed(stage: Stage) -> None:
    """
    History is killed and comes back: each win once, in order, no hand.

    Also for one that had heard nothing yet: the stream says where it stands as it opens.
    """
    async with stage.listening() as source, stage.listening("?activity_id=3") as quiet:
        numbers = await stage.win(3)
        await source.until(lambda: len(source.events) == 3 and source.heartbeats >= 2)
        rows = (await stage.rig.http.get(LIST)).json()["data"]["winners"]
        assert rows == [json.loads(event.data) for event in reversed(source.events)]
        await stage.process.kill()
        numbers += await stage.win(1) + await stage.win(1, activity_id=3)
        await source.until(lambda: bool(source.data_of("refused")))
        plain = await stage.rig.http.get(STREAM)
        assert (503, "UNAVAILABLE") == (plain.status_code, plain.json()["reason"])
        assert plain.json()["reason"] == json.loads(source.data_of("refused")[0])["reason"]
        await stage.process.start()
        await source.until(lambda: len(ids(source)) == len(numbers))
        numbers += await stage.win(2)
        await source.until(lambda: len(ids(source)) == len(numbers))
        await quiet.until(lambda: bool(ids(quiet)))
    assert (numbers, [5]) == (ids(source), ids(quiet))
    assert all(1000 <= ms <= 4000 for ms in source.retries_ms)
    assert (False, []) == (source.is_closed_for_good, source.data_of("missed"))


GONE_ON = [
    ("?last_event_id=48", "", [49, 50]),
    ("?last_event_id=3", "48", [49, 50]),  # the header is newer
    ("?activity_id=2&last_event_id=3", "44", [46, 48, 50]),
    ("", "1", ["missed", *range(50 - KEPT + 1, 51)]),
    ("", "9 of another=stream&page=1", ["missed", 51]),
]


async def test_stream_goes_on_after_the_last_event(stage: Stage) -> None:
    """However it is said; and what cannot be told is said to be missing."""
    for n in range(50):
        await stage.win(activity_id=2 if n % 2 else 1)
    for query, header, expected in GONE_ON:
        async with stage.listening(query, header) as source:
            if expected[-1] == 51:
                await stage.win()
            await source.until(lambda: len(source.events) >= len(expected))  # noqa: B023
            heard = [int(e.id) if e.name == "message" else e.name for e in source.events]
            assert expected == heard


async def _told(stack: AsyncExitStack, stage: Stage, address: str, **headers: str) -> str:
    """What a listener at *address* is told first; it listens on for as long as *stack* is open."""
    headers = {"x-forwarded-for": address, **headers}
    opening = stage.rig.http.stream("GET", STREAM, headers=headers)
    response = await stack.enter_async_context(opening)
    if response.headers["content-type"] == "application/json":
        return f"{response.status_code} {(await response.aread()).decode()}"
    chunks = response.aiter_text()
    stack.push_async_callback(chunks.aclose)  # type: ignore[attr-defined]
    return f"{response.status_code} {await anext(chunks)}"


async def test_surplus_of_listeners_is_refused_with_a_reason(stage: Stage) -> None:
    """Of one address, then of all; whoever leaves makes room. An EventSource may come back."""
    async with AsyncExitStack() as others:
        async with AsyncExitStack() as first:
            for _ in range(3):
                assert (await _told(first, stage, "192.0.2.1")).startswith("200 retry: ")
            told = await _told(others, stage, "192.0.2.1")
            assert told.startswith('429 {"status":0,')
            assert '"reason":"RATE_LIMITED"' in told
            assert '"retry_after_ms":"10000"' in told
            told = await _told(others, stage, "192.0.2.1", accept="text/event-stream")
            assert told.startswith("200 retry: 1")
            assert '\nevent: refused\ndata: {"status":0,' in told
            assert (await _told(others, stage, "192.0.2.2")).startswith("200 retry: ")
            told = await _told(others, stage, "192.0.2.3")
            assert told.startswith("503")
            assert '"reason":"OVERLOADED"' in told
        async with asyncio.timeout(_PATIENCE_S):
            while not (await _told(others, stage, "192.0.2.1")).startswith("200"):
                pass
