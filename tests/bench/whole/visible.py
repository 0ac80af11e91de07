"""M8: how long after it is drawn a win is on the public list, and with those who listen."""

import asyncio
import datetime as dt
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import median

import aiohttp
import grpc
from kuji.history.v1 import history_pb2, history_pb2_grpc

from tests.bench.figures import Figure, Step, percentile
from tests.bench.pools import BooksError
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.bench.whole.jobs import WholeJob
from tests.bench.whole.stack import MeasuredActivity, whole_stack
from tests.load.answers import DrawAnswer, read_answers

GOAL_S = 1.5
_IN_FLIGHT = 64
_PRIZE = (1_000_000, 0.03)  # so few wins that a page of the list has all of some seconds
_PAGE_SIZE = 100
_FIRST_DRAWS = 250  # before what is timed, and so that there are wins in the shortest run
_LOOKS_EVERY_S = 0.02
_SHOWN_WITHIN_S = 30.0
_CALL_TIMEOUT_S = 20.0
_PATH = "/api/lottery/global-history"

Delays = dict[str, float]  # draw id → seconds from the draw until it was seen


class _Watcher:
    """Looks at the list, and listens both ways."""

    def __init__(self, activity: MeasuredActivity, http: aiohttp.ClientSession) -> None:
        self._activity_id = activity.activity_id
        self._history = activity.whole.system.endpoints.grpc["history"]
        self._http = http
        self.seen: dict[str, Delays] = {"list": {}, "SSE": {}, "gRPC stream": {}}

    async def look(self) -> None:
        """At the newest winners, again and again."""
        query = {"activity_id": str(self._activity_id), "page_size": str(_PAGE_SIZE)}
        while True:
            async with self._http.get(_PATH, params=query) as response:
                answer = await response.json()
            for winner in answer["data"]["winners"]:
                self._note("list", winner["draw_id"], _seconds_of(winner["won_at"]))
            await asyncio.sleep(_LOOKS_EVERY_S)

    async def listen_by_json(self) -> None:
        """To the stream of events, through the edge."""
        path = f"{_PATH}/stream?activity_id={self._activity_id}"
        async for winner in self._events(path):
            self._note("SSE", winner["draw_id"], _seconds_of(winner["won_at"]))

    async def _events(self, path: str) -> AsyncIterator[Mapping[str, str]]:
        timeout = aiohttp.ClientTimeout(sock_read=_CALL_TIMEOUT_S)
        async with self._http.get(path, timeout=timeout) as response:
            async for line in response.content:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    async def listen_by_grpc(self) -> None:
        """To the service's own stream."""
        async with grpc.aio.insecure_channel(self._history) as channel:
            stub = history_pb2_grpc.HistoryServiceStub(channel)
            request = history_pb2.StreamWinnersRequest(activity_id=self._activity_id)
            async for winner in stub.StreamWinners(request):
                self._note("gRPC stream", winner.draw_id, winner.won_at.ToNanoseconds() / 1e9)

    def _note(self, way: str, draw_id: str, drawn_at: float) -> None:
        self.seen[way].setdefault(draw_id, time.time() - drawn_at)

    async def until_seen(self, won: set[str]) -> None:
        """
        Return once each of *won* was seen every way.

        Raises:
            BooksError: One was not.
        """
        try:
            async with asyncio.timeout(_SHOWN_WITHIN_S):
                while any(won - delays.keys() for delays in self.seen.values()):  # noqa: ASYNC110  # looks
                    await asyncio.sleep(_LOOKS_EVERY_S)
        except TimeoutError as error:
            missing = {way: len(won - delays.keys()) for way, delays in self.seen.items()}
            raise BooksError(f"wins that were answered, and not seen: {missing}") from error


def _seconds_of(moment: str) -> float:
    return dt.datetime.fromisoformat(moment).timestamp()


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """A figure for each way; a step for each window."""
    whole = await whole_stack(bench, scale.players)
    activity = await whole.open_activity([_PRIZE])
    job = WholeJob("json", "", "", "", in_flight=_IN_FLIGHT, seconds=scale.whole_s)
    rates, shown = [], 0
    async with _watching(activity) as watcher:
        await activity.draw(replace(job, seconds=0.0, calls=_FIRST_DRAWS))
        for number in range(1, scale.rounds + 1):
            rates.append((await activity.draw(job)).calls_per_s)
            shown = len(won := set(_won(activity)))
            await watcher.until_seen(won)
            step(f"M8 {number}/{scale.rounds}")
    note = f"{shown} wins, while {median(rates):,.0f} draws/s were made through the edge"
    return [_figure(way, list(delays.values()), note) for way, delays in watcher.seen.items()]


def _won(activity: MeasuredActivity) -> Iterator[str]:
    for answer in read_answers(activity.folder):
        if isinstance(answer, DrawAnswer) and answer.prize_id:
            yield answer.draw_id


@asynccontextmanager
async def _watching(activity: MeasuredActivity) -> AsyncIterator[_Watcher]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CALL_TIMEOUT_S)
    base = activity.whole.system.endpoints.edge
    async with aiohttp.ClientSession(base, timeout=timeout) as http:
        watcher = _Watcher(activity, http)
        watch = (watcher.look, watcher.listen_by_json, watcher.listen_by_grpc)
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(one()) for one in watch]
            try:
                yield watcher
            finally:
                for task in watching:
                    task.cancel()


def _figure(way: str, delays_s: list[float], note: str) -> Figure:
    p50, p99 = (percentile(delays_s, at) for at in (50, 99))
    return Figure(
        "M8",
        f"from the draw of a win until it is seen: {way}; p50 / p99",
        f"{p50:.2f} / {p99:.2f} s",
        "",
        None,
        f"p99 ≤ {GOAL_S} s",
        p99 <= GOAL_S,
        (f"{way}: {note}",),
    )
