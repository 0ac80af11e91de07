"""M3: draws in batches for half a minute, against the bare script at the same batch size."""

import itertools
from dataclasses import dataclass, field
from statistics import median

from tests.bench.bare_pool import BarePool, open_bare_pool
from tests.bench.figures import Figure, Step, alternate, spread
from tests.bench.jobs import Job
from tests.bench.machine import cpu_s, family_cpu_s
from tests.bench.pools import open_pool
from tests.bench.scale import Scale
from tests.bench.servers import Bench, Site

GOAL_RATIO = 0.55
GOAL_DRAWS_PER_S = 25_000
GOAL_LAG_S = 5.0
_BATCH = 100
_IN_FLIGHT = 8
_BARE_IN_FLIGHT = 2


@dataclass
class _Seen:
    """What the windows of the service showed beside their speed."""

    lags_s: list[float] = field(default_factory=list)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)

    def add_cpu(self, before: dict[str, float], after: dict[str, float], draws: int) -> None:
        for name, at_end in after.items():
            self.cpu_us.setdefault(name, []).append((at_end - before[name]) / draws * 1e6)

    def notes(self) -> tuple[str, ...]:
        costs = ", ".join(f"{name} {median(us):.1f}" for name, us in self.cpu_us.items())
        return (
            f"last row in Postgres {spread(self.lags_s, 2)} s after the last answer",
            f"CPU a draw, us, to the last row: {costs}",
        )


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """The figure; a step for each window."""
    seen = _Seen()
    job = Job(
        "batch",
        "",
        users=scale.users,
        batch=_BATCH,
        in_flight=_IN_FLIGHT,
        seconds=scale.sustained_s,
    )
    async with bench.site() as site, open_bare_pool(bench) as bare:
        pool = await open_pool(bench, site)
        names = itertools.count()

        async def draw() -> float:
            before = cpu_of(bench, site)
            tally = await pool.do(job)
            recorded = await pool.until_recorded()
            seen.add_cpu(before, cpu_of(bench, site), tally.draws)
            seen.lags_s.append(max(0.0, recorded - tally.ended))
            await pool.check(tally.draws)
            return tally.draws_per_s

        async def call_script() -> float:
            return await _call_script(bare, scale, f"b{next(names)}")

        rates = await alternate(scale.rounds, draw, call_script, step, "M3")
    met = (
        rates.ratio >= GOAL_RATIO
        and median(rates.a) >= GOAL_DRAWS_PER_S
        and max(seen.lags_s) <= GOAL_LAG_S
    )
    return [
        Figure(
            "M3",
            f"DrawBatch of {_BATCH}, {scale.sustained_s:g} s",
            f"{spread(rates.a)} draws/s",
            f"bare script: {spread(rates.b)} draws/s",
            rates.ratio,
            f"≥ {GOAL_RATIO:.2f} and ≥ {GOAL_DRAWS_PER_S:,} draws/s, rows ≤ {GOAL_LAG_S:g} s later",
            met,
            seen.notes(),
        )
    ]


def cpu_of(bench: Bench, site: Site) -> dict[str, float]:
    """CPU seconds of each part until now."""
    return {
        "draw": cpu_s(site.draw.pid),
        "recorder": cpu_s(site.recorder.pid),
        "Valkey": family_cpu_s(bench.valkey.pid),
        "Postgres": family_cpu_s(bench.postgres.pid),
        "generator": cpu_s(bench.generator.pid),
    }


async def _call_script(pool: BarePool, scale: Scale, name: str) -> float:
    tally = await pool.draw(name, scale.bare_draws, scale.users, _BATCH, _BARE_IN_FLIGHT)
    await pool.redis.xtrim(pool.key("ledger"), maxlen=0)
    return tally.draws_per_s
