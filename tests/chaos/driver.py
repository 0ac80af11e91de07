"""Fault by fault befalls a running stack, under a crowd; what each cost, and the verdict."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.client import open_edge
from ops.connections import Login
from tests.chaos.crowd import Crowd
from tests.chaos.desk import open_desk
from tests.chaos.faults import Fault, Ground
from tests.chaos.market import Opened, open_market
from tests.chaos.told import Told
from tests.chaos.verdict import Verdict, judge
from tests.support.stacks import StackUnderTest

RECOVERED_S = 60.0
_CONNECTIONS = 64
_SETTINGS = {
    "KUJI_DRAW_PROCESSES": "2",
    "KUJI_SWEEP_EVERY_S": "1",
    "KUJI_SWEEP_AFTER_S": "3",
    # A token that expires on the way is no good one.
    "KUJI_ACCESS_TOKEN_TTL_S": "7200",
    "KUJI_SERVICE_TOKEN_TTL_S": "7200",
}


@dataclass(frozen=True)
class Course:
    """
    How a stack went through a fault.

    Args:
        told: What the crowd was told from its begin until all went well again.
        recovered_s: From the end of the fault until then; None: it did not.
        ended: Parts that ended, though the fault does not end them.
    """

    fault: Fault
    told: Told
    recovered_s: float | None
    ended: Sequence[str]

    def untrue(self) -> Iterator[str]:
        """What somebody was told, and nobody may be."""
        for what, count in self.told.untrue(self.fault.mute, self.fault.reasons).items():
            yield f"{self.fault.name}: {what}, {count} times"

    def unhealed(self) -> Iterator[str]:
        """What did not become well by itself, or should have gone on."""
        if self.recovered_s is None:
            yield f"{self.fault.name}: not well again after {RECOVERED_S:.0f} s"
        if self.ended:
            yield f"{self.fault.name}: {', '.join(self.ended)} ended"


class Audience:
    """Who is shown how it goes; it need not look."""

    def begins(self, fault: Fault) -> None:
        """The *fault* befalls the stack now."""

    def ended(self, course: Course) -> None:
        """All goes well again, or will not."""


@dataclass(frozen=True)
class Plan:
    """
    What befalls a stack.

    Args:
        faults: One after the other.
        scarce_units: Of what is to be sold out on the way.
        within_s: What has not begun by then is left out, which the verdict says.
        pause_s: Of the crowd between two calls.
    """

    faults: Sequence[Fault]
    scarce_units: int = 500
    within_s: float = float("inf")
    pause_s: float = 0.1


@contextmanager
def chaos_stack(home: Path) -> Iterator[StackUnderTest]:
    """A stack of its own in *home*, running."""
    stack = StackUnderTest(home, _SETTINGS)
    with stack.running():
        yield stack


async def drive(stack: StackUnderTest, plan: Plan, audience: Audience) -> Verdict:
    """The verdict over *stack* after the faults of *plan*."""
    begun = time.monotonic()
    courses: list[Course] = []
    async with _visited(stack, plan) as (crowd, opened):
        if not await crowd.goes_well(RECOVERED_S):
            raise AssertionError(f"the stack did not go well at first: {crowd.take_told()}")
        crowd.take_told()
        for fault in plan.faults:
            if time.monotonic() - begun > plan.within_s:
                break
            audience.begins(fault)
            courses.append(await _course(Ground(stack), crowd, fault))
            audience.ended(courses[-1])
        await crowd.stop()
        async with open_edge(stack.edge, _CONNECTIONS) as edge:
            alarms = {alarm for course in courses for alarm in course.fault.alarms}
            verdict = await judge(stack, edge, crowd, opened, alarms)
    for course in courses:
        verdict.tell(course.untrue())
        verdict.hands += course.unhealed()
    verdict.unreached = [fault.name for fault in plan.faults[len(courses) :]]
    return verdict


@asynccontextmanager
async def _visited(stack: StackUnderTest, plan: Plan) -> AsyncIterator[tuple[Crowd, Opened]]:
    async with open_edge(stack.edge, _CONNECTIONS) as edge, open_desk(stack) as desk:
        admin = Login.model_validate(stack.admin)
        opened = await open_market(edge, admin, plan.scarce_units)
        crowd = Crowd(edge, desk, admin, opened.players, opened.market, plan.pause_s)
        await crowd.start()
        try:
            yield crowd, opened
        finally:
            await crowd.leave()


async def _course(ground: Ground, crowd: Crowd, fault: Fault) -> Course:
    before = ground.stack.pids()
    async with fault.act(ground):
        await asyncio.sleep(fault.seconds)
    lifted = time.monotonic()
    is_well = await _parts_are_back(ground, fault, before) and await crowd.goes_well(RECOVERED_S)
    recovered_s = time.monotonic() - lifted if is_well else None
    after = ground.stack.pids()
    ended = [part for part, pid in after.items() if pid != before[part] and part not in fault.dies]
    return Course(fault, crowd.take_told(), recovered_s, ended)


async def _parts_are_back(ground: Ground, fault: Fault, before: dict[str, int]) -> bool:
    """Whether what the fault ends was started again, and the edge says that all is well."""
    deadline = time.monotonic() + RECOVERED_S
    while time.monotonic() < deadline:
        pids = ground.stack.pids()
        if await asyncio.to_thread(ground.stack.is_healthy) and (
            not fault.kills or all(pids[part] != before[part] for part in fault.dies)
        ):
            return True
        await asyncio.sleep(0.1)
    return False
