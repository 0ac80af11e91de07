"""Simulations over gRPC: from a stored activity to what would become of its prizes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from google.protobuf.json_format import ParseDict
from kuji.admin.v1.admin_pb2 import UpdateActivityRequest, UpdatePrizeRequest
from kuji.admin.v1.simulations_pb2 import SimulateActivityRequest, SimulationResult

from services.admin.simulation.curve import Stretch
from services.admin.simulation.job import Job, Stake, Step
from services.admin.simulation.runner import Runner
from services.common.errors import OverloadedError
from tests.support.admin import World, failure, open_world

EARLY, LEFT = "SOLD_OUT_EARLY", "MUCH_LEFT"
ENDLESS = Job([Stake(400_000, 10**9)], [Stretch(1, 400_000)], 1000, 1)


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service."""
    async with open_world(postgres, postgres_dsn) as opened:
        yield opened


def request(activity_id: int, **asked: Any) -> SimulateActivityRequest:
    """A simulation as JSON asks for it."""
    return ParseDict({"activity_id": activity_id, **asked}, SimulateActivityRequest())


async def result(world: World, activity_id: int, **asked: Any) -> SimulationResult:
    """The last event, after progress that never goes back."""
    *steps, last = await world.admin.read(request(activity_id, **asked))
    progress = [step.progress for step in steps]
    assert all(step.WhichOneof("event") == "progress" for step in steps)
    assert 0 == progress[0].runs_played
    assert sorted(step.runs_played for step in progress) == [step.runs_played for step in progress]
    simulated: SimulationResult = last.result
    return simulated


async def test_simulation_tells_what_an_operator_would_regret(world: World) -> None:
    """The main prize gone in a minute, another mostly left; what is deleted takes no part."""
    activity = await world.activity()
    gone = await world.prize(activity.activity_id, total_count=10, probability=0.5, unit_cost="2.5")
    kept = await world.prize(activity.activity_id, name="Cap", total_count=1000, probability=0.01)
    before = await world.dump()
    found = await result(world, activity.activity_id, arrivals=[[3600, 36_000]], runs=200)
    assert before == await world.dump()
    assert (200, 36_000, 3600.0) == (found.runs, found.draws, found.duration_seconds)
    first, second = found.prizes
    assert (gone.prize_id, "Bear", 10, [EARLY]) == (
        *(first.prize_id, first.name, first.units),
        list(first.findings),
    )
    assert 0.9 <= first.stock_out_seconds.p5 <= first.stock_out_seconds.p50 <= 3
    assert (0, 0, "25.00", "25.00") == (first.left.p95, first.chance_left, first.cost, found.cost)
    assert (kept.prize_id, [LEFT], "0.00") == (second.prize_id, list(second.findings), second.cost)
    assert not second.stock_out_seconds.HasField("p5")
    assert 590 <= second.left.p5 <= second.left.p50 <= second.left.p95 <= 690
    assert 1.0 == second.chance_left


async def test_simulation_begins_with_what_is_left_and_lasts_until_the_end(world: World) -> None:
    """Units won are gone; evenly arriving draws end with the activity."""
    end = datetime.now(UTC) + timedelta(hours=1)
    activity = await world.activity(end_time=end)
    prize = await world.prize(activity.activity_id, total_count=10, probability=1)
    await world.record(activity.pool_id, prize.prize_id, 8)
    found = await result(world, activity.activity_id, draws_per_second=0.5, runs=1)
    assert 3500 < found.duration_seconds <= 3600
    assert int(found.duration_seconds / 2) == found.draws
    only = found.prizes[0]
    assert (2, EARLY) == (only.units, only.findings[0])
    assert pytest.approx(4, abs=0.1) == only.stock_out_seconds.p50


async def test_simulation_that_cannot_be_is_refused(world: World) -> None:
    """None such, ended, too much to play; and too long a list."""
    assert ("ACTIVITY_NOT_FOUND", {}) == await failure(
        world.admin.read(request(9, draws_per_second=1))
    )
    activity = await world.activity()
    prize = await world.prize(activity.activity_id, total_count=10**9, probability=1)
    reason, metadata = await failure(
        world.admin.read(request(activity.activity_id, arrivals=[[1, 500_001]]))
    )
    assert ("INVALID_ARGUMENT", "arrivals") == (reason, metadata["field"])
    assert await result(world, activity.activity_id, arrivals=[[1, 1000]], runs=1)
    reason, metadata = await failure(
        world.admin.read(request(activity.activity_id, arrivals=[[1, 1]] * 1001))
    )
    assert ("INVALID_ARGUMENT", "arrivals") == (reason, metadata["field"])
    await world.admin(UpdatePrizeRequest(prize_id=prize.prize_id, cleared_fields=["unit_cost"]))
    await world.admin(UpdateActivityRequest(activity_id=activity.activity_id, status="ended"))
    reason, metadata = await failure(
        world.admin.read(request(activity.activity_id, draws_per_second=1))
    )
    assert ("ACTIVITY_NOT_ONGOING", {"status": "ended"}) == (reason, metadata)


def player_pid() -> int:
    """The process that plays for this one."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    (pid,) = (
        int(child)
        for child in children
        if b"simulation.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    )
    return pid


async def test_simulation_that_breaks_off_says_why_in_its_last_event(world: World) -> None:
    """Over HTTP it is too late for a status; over gRPC that comes, too."""
    activity = await world.activity()
    await world.prize(activity.activity_id, total_count=400_000, probability=1)
    simulating = world.admin.listen(request(activity.activity_id, arrivals=[[1, 400_000]]))
    first = await simulating.read()
    assert "progress" == first.WhichOneof("event")
    os.kill(player_pid(), signal.SIGKILL)
    while (last := await simulating.read()).WhichOneof("event") == "progress":
        pass
    reason, _ = await failure(simulating.read())
    assert ("UNAVAILABLE", "UNAVAILABLE") == (reason, last.failure.reason)
    assert last.failure.message


async def test_simulation_ends_with_its_caller_and_others_wait_their_turn() -> None:
    """A second one is refused while the first plays; who stops listening frees the place."""
    runner = Runner(at_once=1)
    playing = runner.steps(ENDLESS)
    await anext(playing)
    with pytest.raises(OverloadedError):
        await anext(runner.steps(ENDLESS))
    await playing.aclose()
    again = runner.steps(ENDLESS)
    step = await anext(again)
    assert (0, 25) == (step.played, step.runs)
    waiting: asyncio.Task[Step] = asyncio.create_task(anext(again))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await again.aclose()
    await anext(runner.steps(ENDLESS))
