"""
A crowd at an activity that gives no draws: the edge answers it, the draw service hardly sees it.

KUJI_SOLD_OUT_DRAWS sets how many come (`make chaos`: 20 000).
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.pool.rule.terms import LATE_DRAWS
from stack.probes import http_get
from tests.support.edge import Call, caller, register
from tests.support.history import eventually
from tests.support.stacks import StackUnderTest

DRAWS = int(os.environ.get("KUJI_SOLD_OUT_DRAWS", "1500"))
AT_ONCE = 40
UNITS = 6
_STORMS = 5  # the edge forgets while a busy machine stands still
# Of the draws, or of a short storm what comes before the edge has learnt.
MOST_SEEN = max(0.05 * DRAWS, 5 * AT_ONCE)
MOST_SEEN_WHEN_SOLD_OUT = max(0.05 * DRAWS, LATE_DRAWS + 5 * AT_ONCE)
_PAUSE_S = 0.02
DRAW = "/api/lottery/draw"


@dataclass
class Scene:
    """An activity, its operator, somebody who draws, and what the draw service has seen."""

    stack: StackUnderTest
    admin: Call
    activity_id: str
    prize_id: str
    token: str
    http: aiohttp.ClientSession

    async def draw(self, request_id: str) -> tuple[int, dict[str, Any]]:
        """The answer to a draw: HTTP's code, and the envelope."""
        body = {"activity_id": self.activity_id, "request_id": request_id}
        headers = {"authorization": f"Bearer {self.token}"}
        async with self.http.post(DRAW, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def drawn(self, request_id: str) -> dict[str, Any]:
        """What a draw gave."""
        _, answer = await self.draw(request_id)
        assert 1 == answer["status"], answer
        data: dict[str, Any] = answer["data"]
        return data

    async def storm(self, count: int, name: str) -> list[tuple[int, dict[str, Any]]]:
        """The answers to *count* fresh draws, AT_ONCE at a time."""
        numbers = iter(range(count))
        answers: list[tuple[int, dict[str, Any]]] = []

        async def one_after_the_other() -> None:
            answers.extend([await self.draw(f"{name}-{number}") for number in numbers])

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(one_after_the_other())
        return answers

    async def storm_at_the_edge(
        self, count: int, name: str, most_seen: float, also_asked: Callable[[], int] = lambda: 0
    ) -> list[tuple[int, dict[str, Any]]]:
        """
        The answers to storms, until one of them is answered at the edge.

        Args:
            most_seen: Fewer calls than this come to the draw service.
            also_asked: How many draws others have asked for.
        """
        answers: list[tuple[int, dict[str, Any]]] = []
        for number in range(_STORMS):
            before = await self.seen() - also_asked()
            answers += await self.storm(count, f"{name}-{number}")
            seen = await self.seen() - also_asked() - before
            print(f"of {count} draws the service saw {seen:.0f}")
            if seen < most_seen:
                return answers
        raise AssertionError(f"the service sees {seen:.0f} of {count} draws in storm {_STORMS}")

    async def seen(self) -> float:
        """Calls that came to the draw service, of users and of the edge."""
        _, text = await http_get(self.stack.endpoints["metrics"]["draw"])
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "kuji_rpc_calls_total"
            and sample.labels["method"] in ("Draw", "GetClosing")
        )

    async def change(self, **fields: Any) -> None:
        """Change the activity."""
        await self.admin("PUT", f"/admin/api/activities/{self.activity_id}", json=fields)

    async def change_prize(self, **fields: Any) -> None:
        """Change its prize."""
        await self.admin("PUT", f"/admin/api/prizes/{self.prize_id}", json=fields)

    async def balances(self, draws: int, misses: int = 0) -> None:
        """As many draws are recorded, all of them wins but for *misses*; the books balance."""

        async def is_so() -> bool:
            path = f"/admin/api/statistics?activity_id={self.activity_id}"
            found = await self.admin("GET", path)
            expected = (draws, draws - misses, True)
            return expected == (found["draws"], found["wins"], found["books_balance"])

        await eventually(is_so)


@pytest.fixture
async def scene(
    stack: StackUnderTest, http: httpx.AsyncClient, admin_token: str
) -> AsyncIterator[Scene]:
    """An ongoing activity with one prize that every draw wins."""
    admin = caller(http, admin_token)
    activity = await admin("POST", "/admin/api/activities", json={"name": "crowd"})
    activity_id = activity["activity_id"]
    prize = await admin(
        "POST",
        "/admin/api/prizes",
        json={
            "activity_id": activity_id,
            "name": "cup",
            "total_count": UNITS,
            "probability": 1,
        },
    )
    await admin("PUT", f"/admin/api/activities/{activity_id}", json={"status": "ongoing"})
    session = await register(http)
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(stack.edge, connector=connector) as client:
        yield Scene(stack, admin, activity_id, prize["prize_id"], session["access_token"], client)


class Replayer:
    """Asks for draws again and again: each is found, whatever goes on."""

    def __init__(self, scene: Scene, won: Sequence[dict[str, Any]]) -> None:
        self._scene = scene
        self._won = itertools.cycle(won)
        self._ends = asyncio.Event()
        self.asked = 0

    async def run(self) -> None:
        """Until it is ended."""
        while not self._ends.is_set():
            draw = next(self._won)
            self.asked += 1
            assert draw | {"replayed": True} == await self._scene.drawn(draw["request_id"])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), _PAUSE_S)

    def end(self) -> None:
        """Let it come to its end."""
        self._ends.set()


async def test_crowd_is_answered_at_the_edge_when_all_is_won(scene: Scene) -> None:
    """L6: of the draws after the last unit, the service sees the first, and few of the others."""
    won = [await scene.drawn(f"unit-{number}") for number in range(UNITS)]
    assert [True] * UNITS == [draw["won"] for draw in won]
    async with asyncio.TaskGroup() as group:
        replayer = Replayer(scene, won)
        group.create_task(replayer.run())
        answers = await scene.storm_at_the_edge(
            DRAWS, "late", MOST_SEEN_WHEN_SOLD_OUT, lambda: replayer.asked
        )
        await scene.change_prize(total_count=UNITS + 1)
        last = await scene.drawn("after the restock")
        again = [await scene.drawn(last["request_id"]) for _ in range(AT_ONCE)]
        replayer.end()
    told = [answer["data"] for _, answer in answers]
    late = [one for one in told if not one["sold_out"]]
    assert LATE_DRAWS == len({one["draw_id"] for one in late})
    assert {(False, "", False), (False, "some", False)} == {
        (one["won"], one["draw_id"] and "some", one["replayed"]) for one in told
    }
    # The operator was answered when it was in force everywhere, so the very next draw sees it.
    assert last["won"]
    assert [last | {"replayed": True}] * AT_ONCE == again
    await scene.balances(UNITS + 1 + LATE_DRAWS, LATE_DRAWS)


async def test_crowd_is_answered_at_the_edge_while_nothing_draws(scene: Scene) -> None:
    """L6, L7: paused, drawing again, over: each is in force for the very next draw."""
    first = await scene.drawn("before")
    await scene.change(status="paused")
    paused = await scene.storm_at_the_edge(DRAWS // 2, "paused", MOST_SEEN)
    await scene.change(status="ongoing")
    resumed = await scene.drawn("resumed")
    assert resumed["won"]
    await scene.change(status="ended")
    over = await scene.storm(DRAWS // 2, "over")
    for answers, status in ((paused, "paused"), (over, "ended")):
        assert {(400, "ACTIVITY_NOT_ONGOING", status)} == {
            (code, answer["reason"], answer["metadata"]["status"]) for code, answer in answers
        }
    for draw in (first, resumed):
        assert draw | {"replayed": True} == await scene.drawn(draw["request_id"])
    await scene.balances(2)
