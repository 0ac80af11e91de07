"""M10: whether a draw gets dearer with more users, more prizes, a longer history."""

from tests.bench.figures import Alternation, Figure, Step, alternate, spread
from tests.bench.jobs import Job
from tests.bench.pools import MeasuredPool, open_pool
from tests.bench.scale import Scale
from tests.bench.servers import Bench, Site, queries

GOAL = 0.8
_BATCH = 100
_IN_FLIGHT = 8
_PRIZES = (4, 64)
_HISTORY_CHUNK = 250_000


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """The three figures; a step for each window."""
    async with bench.site() as site:
        figures = [
            await _with_users(bench, site, scale, step),
            await _with_prizes(bench, site, scale, step),
        ]
    return [*figures, await _with_history(bench, scale, step)]


async def _with_users(bench: Bench, site: Site, scale: Scale, step: Step) -> Figure:
    few, many = await open_pool(bench, site), await open_pool(bench, site)
    await _fill(few, scale.few_users)
    await _fill(many, scale.users)
    rates = await _alternate(scale, (many, scale.users), (few, scale.few_users), step, "users")
    return _figure("users", scale.users, scale.few_users, rates)


async def _with_prizes(bench: Bench, site: Site, scale: Scale, step: Step) -> Figure:
    few, many = [await open_pool(bench, site, prizes) for prizes in _PRIZES]
    rates = await _alternate(scale, (many, scale.users), (few, scale.users), step, "prizes")
    return _figure("prizes", _PRIZES[1], _PRIZES[0], rates)


async def _with_history(bench: Bench, scale: Scale, step: Step) -> Figure:
    async with bench.site() as young, bench.site() as old:
        await _age(old, scale)
        pools = await open_pool(bench, old), await open_pool(bench, young)
        sides = [(pool, scale.users) for pool in pools]
        rates = await _alternate(scale, sides[0], sides[1], step, "history")
    return _figure("rows of history", scale.history_rows, 0, rates)


async def _age(site: Site, scale: Scale) -> None:
    for first in range(1, scale.history_rows + 1, _HISTORY_CHUNK):
        last = min(first + _HISTORY_CHUNK - 1, scale.history_rows)
        await queries.insert_history(site.postgres, first=first, last=last, users=scale.users)
    await queries.vacuum(site.postgres)


async def _fill(pool: MeasuredPool, users: int) -> None:
    """Let each of *users* draw once, straight through the script."""
    job = Job("bare", "", users=users, batch=_BATCH, in_flight=2, draws=users)
    await pool.check((await pool.do(job)).draws)


async def _alternate(
    scale: Scale,
    large: tuple[MeasuredPool, int],
    small: tuple[MeasuredPool, int],
    step: Step,
    label: str,
) -> Alternation:
    for pool, users in (large, small):
        await queries.checkpoint(pool.site.postgres)
        await _rate(pool, users, scale.growth_draws // 4)
    return await alternate(
        scale.rounds,
        lambda: _rate(*large, scale.growth_draws),
        lambda: _rate(*small, scale.growth_draws),
        step,
        f"M10 {label}",
    )


async def _rate(pool: MeasuredPool, users: int, draws: int) -> float:
    """Draws a second from the first call to the last row in Postgres."""
    job = Job("batch", "", users=users, batch=_BATCH, in_flight=_IN_FLIGHT, draws=draws)
    tally = await pool.do(job)
    recorded = await pool.until_recorded()
    await pool.check(tally.draws)
    return tally.draws / (recorded - tally.started)


def _figure(what: str, many: int, few: int, rates: Alternation) -> Figure:
    return Figure(
        "M10",
        f"draws into Postgres, {many:,} {what}",
        f"{spread(rates.a)} draws/s",
        f"{few:,} {what}: {spread(rates.b)} draws/s",
        rates.ratio,
        f"≥ {GOAL}",
        rates.ratio >= GOAL,
    )
