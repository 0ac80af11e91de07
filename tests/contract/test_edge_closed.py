"""Draws of activities that give none: answered by the edge, as the service would."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from google.protobuf.message import Message
from kuji.draw.v1 import draw_pb2, pool_pb2

from services.common.context import RequestContext
from services.common.errors import ActivityNotOngoingError
from services.pool.rule.fairness import request_digest
from services.pool.store.closings import Closing, note, size_for
from tests.contract.edge_rig import Rig

DRAW = "/api/lottery/draw"
USER = 7  # of the rig's tokens
ROUNDS = 40
NOT_PLAIN: tuple[dict[str, Any], ...] = (
    {"user_id": 7},
    {"request_id": ""},
    {"request_id": "a\\b"},
    {"request_id": "x" * 65},
    {"request_id": "straße"},
    {"request_id": None},
    {"activity_id": "01"},
    {"activity_id": None, "request_id": "of whatever activity"},
)
_activities = itertools.count(1000)
Answer = Callable[[draw_pb2.DrawRequest], Message]


class Activity:
    """A scripted activity: what it answers, why it is closed, who has drawn from it."""

    def __init__(self, rig: Rig, drawn: list[str]) -> None:
        self.rig = rig
        self.activity_id = next(_activities)
        self.closing = Closing.OPEN
        self.version = 1
        self.drawn = drawn
        self.asked = 0
        rig.script.behave("GetClosing", self._closing)
        rig.script.behave("Draw", self._draw)

    async def _closing(self, request: Any, ctx: RequestContext) -> Message:
        assert ctx.origin.is_by_edge
        self.asked += 1
        bits = bytearray(size_for(len(self.drawn)))
        note(bits, [request_digest(USER, one) for one in self.drawn])
        is_known = request.known_version == self.version
        return pool_pb2.GetClosingResponse(
            closing=pool_pb2.Closing.ValueType(self.closing),
            pool_version=self.version,
            drawn=b"" if is_known or not self.closing else bytes(bits),
        )

    async def _draw(self, request: Any, _: RequestContext) -> Message:
        if request.request_id in self.drawn:
            return _result(draw_id="9-1", request_id=request.request_id, replayed=True)
        match self.closing:
            case Closing.OPEN:
                return _result(draw_id="9-2", request_id=request.request_id)
            case Closing.SOLD_OUT:
                return _result(sold_out=True, activity_id=self.activity_id)
        raise ActivityNotOngoingError(self.closing.name.lower())

    @property
    def draws(self) -> int:
        """How many the service has seen."""
        return [name for name, _, _ in self.rig.script.requests].count("Draw")

    async def draw(self, **more: Any) -> httpx.Response:
        """The answer to a draw."""
        body = {"activity_id": self.activity_id, **more}
        response: httpx.Response = await self.rig.call("POST", DRAW, "user", json=body)
        return response

    async def is_learnt(self) -> None:
        """Return once every worker of the edge answers for it."""
        async with asyncio.timeout(20):
            quiet = 0
            while quiet < ROUNDS:
                before = self.draws
                await asyncio.gather(*(self.draw(request_id=f"learn-{n}") for n in range(8)))
                quiet = quiet + 8 if self.draws == before else 0


def _result(**fields: Any) -> draw_pb2.DrawResponse:
    return draw_pb2.DrawResponse(result=draw_pb2.DrawResult(odds=1.0, **fields))


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Return once *is_so*."""
    async with asyncio.timeout(20):
        while not await is_so():
            pass


@pytest.mark.parametrize(
    ("closing", "status", "said"),
    [
        (Closing.SOLD_OUT, 200, {"won": False, "draw_id": "", "sold_out": True, "prize": None}),
        (Closing.PAUSED, 400, None),
        (Closing.ENDED, 400, None),
    ],
)
async def test_edge_answers_for_what_gives_no_draws(
    rig: Rig, closing: Closing, status: int, said: dict[str, Any] | None
) -> None:
    """The service sees a few draws, then none; everybody gets the very answer that it gave."""
    activity = Activity(rig, [])
    activity.closing = closing
    first = await activity.draw(request_id="first")
    await activity.is_learnt()
    before = activity.draws
    answers = [await activity.draw(request_id=f"fresh-{n}") for n in range(ROUNDS)]
    answers += [await activity.draw() for _ in range(ROUNDS)]
    assert before == activity.draws
    assert {(status, first.text)} == {(one.status_code, one.text) for one in answers}
    assert {"application/json"} == {one.headers["content-type"] for one in answers}
    if said:
        assert said.items() <= first.json()["data"].items()
    else:
        assert {"status": closing.name.lower()} == first.json()["metadata"]


async def test_request_id_that_has_drawn_finds_its_draw(rig: Rig) -> None:
    """Ids of every length, whatever the edge knows; and it hardly takes others for them."""
    drawn = ["x" * length for length in range(1, 65)] + [f"order {n}-~!" for n in range(100)]
    activity = Activity(rig, drawn)
    activity.closing = Closing.SOLD_OUT
    await activity.draw(request_id="first")
    await activity.is_learnt()
    for name in drawn:
        data = (await activity.draw(request_id=name)).json()["data"]
        assert (True, name) == (data["replayed"], data["request_id"])
    before = activity.draws
    for n in range(400):
        await activity.draw(request_id=f"fresh-{n}")
    assert activity.draws - before <= 20


async def test_edge_sees_that_an_activity_draws_again(rig: Rig) -> None:
    """Once what the service granted is over, the next draw reaches it."""
    activity = Activity(rig, [])
    activity.closing = Closing.PAUSED
    await activity.draw(request_id="first")
    await activity.is_learnt()
    activity.closing, activity.version = Closing.OPEN, 2

    async def draws() -> bool:
        return (await activity.draw(request_id="again")).status_code == 200

    await until(draws)
    await until(draws)


async def test_edge_takes_nothing_for_granted_without_the_service(rig: Rig) -> None:
    """Where the service grants nothing, its answers are its own, each time."""
    activity = Activity(rig, [])
    activity.closing = Closing.SOLD_OUT

    async def granting_nothing(*_: Any) -> Message:
        return pool_pb2.GetClosingResponse()

    rig.script.behave("GetClosing", granting_nothing)
    for n in range(ROUNDS):
        await activity.draw(request_id=f"fresh-{n}")
    assert ROUNDS == activity.draws


async def test_edge_leaves_what_is_not_plain_to_the_service(rig: Rig) -> None:
    """Whatever might be more than a user's new draw goes on."""
    activity = Activity(rig, [])
    activity.closing = Closing.SOLD_OUT
    await activity.draw(request_id="first")
    await activity.is_learnt()
    for more in NOT_PLAIN:
        before = activity.draws
        await activity.draw(**more)
        assert before + 1 == activity.draws, more
