"""
python -m tests.bench.in_turn batch --against CHECKOUT: M1's or M3's draws, version by version.

The draw process, the recorder and auth of each side run on stores of their own, and are drawn from
in turn. The rows in Postgres are held against the answers after every turn. The empty handler that
M1 is measured against has its turns as well: this version's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from stack.processes import ROOT
from tests.bench.figures import spread
from tests.bench.jobs import Job
from tests.bench.machine import cores, cpu_model, cpu_s, load
from tests.bench.pools import MeasuredPool, open_pool
from tests.bench.scale import FULL
from tests.bench.servers import Bench, Service, Site, open_bench
from tests.bench.sustained import cpu_of

_SCALE = replace(FULL, users=100_000)


class Kind(StrEnum):
    """What is drawn with."""

    UNARY = "unary"
    BATCH = "batch"


_JOBS = {
    Kind.UNARY: Job("unary", "", users=_SCALE.users, in_flight=64),
    Kind.BATCH: Job("batch", "", users=_SCALE.users, in_flight=8, batch=100),
}


@dataclass
class _Side:
    """One of those in turn: draws for so long; CPU of each part for a draw, microseconds."""

    name: str
    turn: Callable[[float], Awaitable[tuple[dict[str, float], float]]]
    costs: list[dict[str, float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    async def take_turn(self, seconds: float) -> None:
        cost, rate = await self.turn(seconds)
        self.costs.append({**cost, "all": sum(cost.values())})
        self.rates.append(rate)


@asynccontextmanager
async def _running(checkout: Path, kind: Kind) -> AsyncIterator[list[_Side]]:
    """The version at *checkout*, warmed up; for unary draws of this one its empty handler too."""
    async with open_bench(_SCALE, checkout) as bench, bench.site() as site:
        pool = await open_pool(bench, site)
        name = "here" if checkout == ROOT else str(checkout)
        side = _Side(name, lambda seconds: _drawn(bench, site, pool, kind, seconds))
        await side.turn(2)
        if kind is Kind.BATCH or checkout != ROOT:
            yield [side]
            return
        service = Service("tests.bench.empty", {"KUJI_AUTH_ADDRESS": bench.auth_address})
        async with bench.running(service) as (empty,):

            async def call(seconds: float) -> tuple[dict[str, float], float]:
                job = replace(_JOBS[kind], seconds=seconds, target=service.address)
                before = cpu_s(empty.pid)
                tally = await bench.generator.do(
                    replace(job, name="empty", token=bench.token, activity_id=1)
                )
                return {"draw": (cpu_s(empty.pid) - before) / tally.calls * 1e6}, tally.calls_per_s

            await call(2)
            yield [side, _Side("empty handler", call)]


async def _drawn(
    bench: Bench, site: Site, pool: MeasuredPool, kind: Kind, seconds: float
) -> tuple[dict[str, float], float]:
    before = cpu_of(bench, site)
    tally = await pool.do(replace(_JOBS[kind], seconds=seconds))
    await pool.until_recorded()
    after = cpu_of(bench, site)
    await pool.check(tally.draws)
    cost = {part: (after[part] - before[part]) / tally.draws * 1e6 for part in after}
    return cost, tally.draws_per_s


async def _measure(
    checkouts: Sequence[Path], kind: Kind, rounds: int, seconds: float
) -> list[_Side]:
    async with AsyncExitStack() as exits:
        sides = [
            side
            for checkout in checkouts
            for side in await exits.enter_async_context(_running(checkout, kind))
        ]
        for turn in range(rounds):
            # The other way round each time, so that a drift is no one's gain.
            for side in sides if turn % 2 == 0 else reversed(sides):
                await side.take_turn(seconds)
        return sides


def _row(side: _Side, first: _Side, parts: Sequence[str]) -> str:
    of_parts = [[cost[part] for cost in side.costs if part in cost] for part in parts]
    cells = [spread(values, 1) if values else "" for values in of_parts]
    ratio = median(a / b for a, b in zip(side.rates, first.rates, strict=True))
    return f"| {side.name} | {' | '.join(cells)} | {spread(side.rates)} | {ratio:.2f} |"


def main(
    kind: Annotated[Kind, typer.Argument(help="M1's draws, or M3's.")],
    against: Annotated[list[Path], typer.Option(help="A checkout; may come again.")],
    rounds: Annotated[int, typer.Option(help="How often each takes its turn.")] = 5,
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 4.0,
) -> None:
    """Compare what draws by gRPC cost each part, and how many there are in a second."""
    before = load()
    checkouts = [*(one.resolve() for one in against), ROOT]
    sides = asyncio.run(_measure(checkouts, kind, rounds, seconds))
    parts = list(sides[0].costs[0])
    print(f"| us of CPU a draw | {' | '.join(parts)} | draws/s | ratio |")
    print("|---" * (len(parts) + 3) + "|")
    for side in sides:
        print(_row(side, sides[0], parts))
    print(f"{cores()} cores, {cpu_model()}; load before {before:.2f}")


if __name__ == "__main__":
    typer.run(main)
