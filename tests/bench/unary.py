"""M1: one draw a call, against an empty handler behind the same server framework."""

from dataclasses import dataclass, field, replace
from statistics import median

from services.common.server.serve import Front
from stack.processes import Child
from tests.bench.figures import Figure, Step, alternate, spread
from tests.bench.jobs import Job, Tally
from tests.bench.machine import cpu_s
from tests.bench.pools import BooksError, MeasuredPool, open_pool
from tests.bench.scale import Scale
from tests.bench.servers import Bench, Service, front

# By the server's CPU: what calls cost it, the generator costs beside it.
GOALS = {Front.GATHERING: 2.0, Front.GRPCIO: 0.80}
_IN_FLIGHT = 64


@dataclass
class _Cost:
    """What the calls of one side cost: the server's CPU a call, the generator's cores."""

    server: Child
    cpu_us: list[float] = field(default_factory=list)
    generator_cores: list[float] = field(default_factory=list)

    def note(self, cpu_before_s: float, tally: Tally) -> float:
        self.cpu_us.append((cpu_s(self.server.pid) - cpu_before_s) / tally.calls * 1e6)
        self.generator_cores.append(tally.cpu_s / tally.seconds)
        return tally.calls_per_s

    def __str__(self) -> str:
        return (
            f"{median(self.cpu_us):.0f} us of the server's CPU a call, "
            f"generator at {median(self.generator_cores):.2f} cores"
        )


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """The figure; a step for each window."""
    service = Service("tests.bench.empty", {"KUJI_AUTH_ADDRESS": bench.auth_address})
    target, users = service.address, scale.users
    job = Job("unary", target, users=users, in_flight=_IN_FLIGHT, seconds=scale.unary_s)
    async with bench.site() as site, bench.running(service) as (empty,):
        pool = await open_pool(bench, site)
        drawn, idle = _Cost(site.draw), _Cost(empty)

        async def draw() -> float:
            before = cpu_s(site.draw.pid)
            rate = drawn.note(before, tally := await pool.do(job))
            await pool.check(tally.draws)
            return rate

        async def call_empty() -> float:
            before = cpu_s(empty.pid)
            return idle.note(before, await _call_empty(bench, job))

        await _warm_up(bench, pool, job)
        rates = await alternate(scale.rounds, draw, call_empty, step, "M1")
    goal, by_cpu = GOALS[front()], median(idle.cpu_us) / median(drawn.cpu_us)
    return [
        Figure(
            "M1",
            "unary gRPC draw",
            f"{spread(rates.a)} draws/s",
            f"empty handler: {spread(rates.b)} calls/s",
            rates.ratio,
            f"≥ {goal:.2f} by CPU",
            by_cpu >= goal,
            (
                f"draw: {drawn}",
                f"empty handler: {idle}",
                f"by the server's CPU alone: {by_cpu:.2f}",
            ),
        )
    ]


async def _warm_up(bench: Bench, pool: MeasuredPool, job: Job) -> None:
    short = replace(job, seconds=job.seconds / 4)
    await pool.check((await pool.do(short)).draws)
    await _call_empty(bench, short)


async def _call_empty(bench: Bench, job: Job) -> Tally:
    tally = await bench.generator.do(replace(job, name="empty", token=bench.token, activity_id=1))
    if tally.failures:
        raise BooksError(f"empty calls failed: {tally.failures}")
    return tally
