"""
python -m tests.bench.versions --against CHECKOUT: what a JSON draw costs each part, version by
version.

A whole stack of each side is started and drawn from in turn: of another checkout, of this one on
each front. The draws are recorded before a turn ends, and are as many as were answered.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import asyncpg
import httpx
import typer

from demo.activities import Prize, open_activity
from demo.client import log_in, open_edge
from ops.connections import Login
from services.common.postgres import load_queries
from services.common.server.serve import Front
from stack.processes import ROOT, Child, Program, stop
from tests.bench import parts
from tests.bench.edge import Crowd, crowd_of
from tests.bench.figures import spread
from tests.bench.machine import cores, cpu_model, load
from tests.bench.whole.stack import FOUR_PRIZES
from tests.support.edge import register
from tests.support.stacks import StackUnderTest

_queries = load_queries(__file__)
_PLAYERS = 64
_PATIENCE_S = 120
_SHOWN = ("envoy", "draw", "valkey", "recorder", "postgres")


@dataclass(frozen=True)
class Side:
    """A version: its checkout, and what its stack is told."""

    name: str
    checkout: Path
    settings: Mapping[str, str]


class Running:
    """
    A stack with an activity, and players who draw from it.

    Args:
        crowd: They; each has a connection of its own.
    """

    def __init__(self, stack: StackUnderTest, postgres: asyncpg.Connection, crowd: Crowd) -> None:
        self._stack = stack
        self._postgres = postgres
        self._crowd = crowd
        self._drawn = 0
        self.costs: list[dict[str, float]] = []

    async def turn(self, seconds: float) -> None:
        """Draw for so long; note the CPU of each part for a draw, in microseconds."""
        pids = parts.pids_of(self._stack)
        before = parts.cpu_s(pids)
        answered = await self._crowd.draw(self._stack.edge_port, seconds)
        self._drawn += answered
        await self._recorded()
        used = parts.used_since(pids, before)
        cost = {part: cpu_s / answered * 1e6 for part, cpu_s in used.items()}
        others = sum(us for part, us in cost.items() if part not in _SHOWN)
        shown = {part: cost[part] for part in _SHOWN}
        self.costs.append({**shown, "others": others, "all": sum(cost.values())})

    async def _recorded(self) -> None:
        rows = 0
        async with asyncio.timeout(_PATIENCE_S):
            while rows < self._drawn:
                rows = await _queries.recorded_draws(self._postgres)
                await asyncio.sleep(0.02)
        if rows > self._drawn:
            raise RuntimeError(f"{rows} draws are recorded, {self._drawn} were answered")


@asynccontextmanager
async def _started(side: Side, home: Path) -> AsyncIterator[StackUnderTest]:
    """The stack of *side*, by the Python of its checkout."""
    stack = StackUnderTest(home, side.settings)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KUJI_")}
    own = {"KUJI_HOME": str(home), "KUJI_EDGE_PORT": str(stack.edge_port), **side.settings}
    command = [str(side.checkout / ".venv/bin/python"), "-m", "stack", "run"]
    log = home / "run.log"
    child = Child(Program("stack", command, log, environment | own, folder=side.checkout))

    async def is_up() -> bool:
        return (home / "endpoints.json").exists()

    try:
        await child.wait_until_ready(is_up, _PATIENCE_S)
        yield stack
    finally:
        stop([child], _PATIENCE_S)


@asynccontextmanager
async def _running(side: Side, home: Path) -> AsyncIterator[Running]:
    async with _started(side, home) as stack:
        async with httpx.AsyncClient(base_url=stack.edge, timeout=_PATIENCE_S) as http:
            tokens = [(await register(http))["access_token"] for _ in range(_PLAYERS)]
        (home / "tokens").write_text("\n".join(tokens))
        activity_id = await _open_activity(stack)
        postgres = await asyncpg.connect(stack.postgres)
        try:
            async with crowd_of(home / "tokens", _PLAYERS, activity_id) as crowd:
                yield Running(stack, postgres, crowd)
        finally:
            await postgres.close()


async def _open_activity(stack: StackUnderTest) -> int:
    """One draw in ten wins, as in P1."""
    prizes = [Prize(f"Prize {n}", *offer) for n, offer in enumerate(FOUR_PRIZES, start=1)]
    async with open_edge(stack.edge, 1) as edge:
        token = await log_in(edge, Login(**stack.admin))
        opened = await open_activity(edge, token, prizes, {"name": "Measured"})
    return opened.activity_id


async def _measure(sides: Sequence[Side], rounds: int, seconds: float) -> list[Running]:
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="kuji-versions-")))
        running = []
        for number, side in enumerate(sides):
            (home := folder / str(number)).mkdir()
            running.append(await exits.enter_async_context(_running(side, home)))
        for one in running:
            await one.turn(seconds / 2)
            one.costs.clear()
        for turn in range(rounds):
            # The other way round each time, so that a drift is no one's gain.
            for one in running if turn % 2 == 0 else reversed(running):
                await one.turn(seconds)
        return running


def _row(side: Side, first: Running, own: Running) -> str:
    cells = [spread([cost[part] for cost in own.costs]) for part in (*_SHOWN, "others", "all")]
    ratio = median(
        mine["all"] / other["all"] for mine, other in zip(own.costs, first.costs, strict=True)
    )
    return f"| {side.name} | {' | '.join(cells)} | {ratio:.2f} |"


def main(
    against: Annotated[list[Path], typer.Option(help="A checkout; may come again.")],
    rounds: Annotated[int, typer.Option(help="How often each takes its turn.")] = 5,
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 4.0,
) -> None:
    """Compare what a JSON draw costs each part, of checkouts and of this one on both fronts."""
    before = load()
    sides = [Side(str(one), one.resolve(), {}) for one in against]
    sides += [Side(f"here, {one}", ROOT, {"KUJI_DRAW_FRONT": one}) for one in Front]
    running = asyncio.run(_measure(sides, rounds, seconds))
    print(f"| us of CPU a draw | {' | '.join(_SHOWN)} | others | all | ratio |")
    print("|---" * (len(_SHOWN) + 4) + "|")
    for side, one in zip(sides, running, strict=True):
        print(_row(side, running[0], one))
    print(f"{cores()} cores, {cpu_model()}; load before {before:.2f}")


if __name__ == "__main__":
    typer.run(main)
