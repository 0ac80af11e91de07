"""X1a: what it costs to tell a win only once it is in Postgres, against telling it at once."""

from dataclasses import dataclass, field
from statistics import median

from kuji.draw.v1 import pool_pb2

from tests.bench.figures import Figure, Step, alternate, spread
from tests.bench.jobs import Job
from tests.bench.pools import MeasuredPool, open_pool
from tests.bench.scale import Scale
from tests.bench.servers import Bench

_IN_FLIGHT = (1, 64)


@dataclass
class _Side:
    """One pool, and how long its answers took, window by window."""

    pool: MeasuredPool
    waits_s: list[dict[str, list[float]]] = field(default_factory=list)

    async def draw(self, job: Job) -> float:
        """Draws a second."""
        tally = await self.pool.do(job)
        self.waits_s.append(tally.waits_s)
        await self.pool.check(tally.draws)
        return tally.draws_per_s

    def told(self) -> str:
        """p50 and p99, medians over the windows."""
        return ", ".join(f"{name} {self._told(name)}" for name in ("win", "miss"))

    def _told(self, name: str) -> str:
        found = [waits[name] for waits in self.waits_s if name in waits]
        p50, p99 = (median(at) * 1000 for at in zip(*found, strict=True)) if found else (0.0, 0.0)
        return f"{p50:.1f} / {p99:.1f} ms"


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """A figure for each number of callers at once; a step for each window."""
    async with bench.site(scale.users) as site:
        stored = await open_pool(bench, site)
        recorded = await open_pool(bench, site, confirm=pool_pb2.CONFIRM_RECORDED)
        return [
            await _compare(stored, recorded, in_flight, scale, step) for in_flight in _IN_FLIGHT
        ]


async def _compare(
    stored: MeasuredPool, recorded: MeasuredPool, in_flight: int, scale: Scale, step: Step
) -> Figure:
    a, b = _Side(recorded), _Side(stored)
    job = Job(
        kind="unary",
        target="",
        users=scale.users,
        in_flight=in_flight,
        seconds=scale.unary_s,
        timed=True,
    )

    async def draw_recorded() -> float:
        return await a.draw(job)

    async def draw_stored() -> float:
        return await b.draw(job)

    rates = await alternate(scale.rounds, draw_recorded, draw_stored, step, "X1a")
    return Figure(
        "X1a",
        f"draws of confirmed wins, {in_flight} at once",
        f"{spread(rates.a)} draws/s",
        f"told at once: {spread(rates.b)} draws/s",
        rates.ratio,
        "",
        True,
        (
            f"{in_flight} at once, p50 / p99: {a.told()}",
            f"{in_flight} at once, told at once: {b.told()}",
        ),
    )
