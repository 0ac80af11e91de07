"""M7: a crowd at an activity with nothing left, against draws of one that gives some."""

from dataclasses import replace

from services.pool.rule.terms import LATE_DRAWS
from tests.bench.figures import Figure, Step, alternate, spread
from tests.bench.pools import BooksError
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.bench.whole.cost import Cost, compared
from tests.bench.whole.jobs import WholeJob
from tests.bench.whole.stack import FOUR_PRIZES, whole_stack

GOAL = 4.0
_IN_FLIGHT = 64


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """The figure; a step for each window."""
    whole = await whole_stack(bench, scale.players)
    empty = await whole.open_activity([(1, 1.0)])
    live = await whole.open_activity(FOUR_PRIZES)
    job = WholeJob("json", "", "", "", in_flight=_IN_FLIGHT, seconds=scale.whole_s)
    await empty.draw(replace(job, seconds=0.0, calls=1 + LATE_DRAWS))
    await live.draw(replace(job, seconds=scale.whole_s / 4))
    told, drawn = Cost(), Cost()

    async def storm() -> float:
        tally = await told.of(empty, job)
        await empty.check()
        if tally.sold_out != tally.calls:
            raise BooksError(f"{tally.calls - tally.sold_out} draws of what is sold out")
        return tally.calls_per_s

    async def draw() -> float:
        tally = await drawn.of(live, job)
        await live.check()
        if tally.sold_out:
            raise BooksError(f"{tally.sold_out} draws were told that nothing is left")
        return tally.calls_per_s

    rates = await alternate(scale.rounds, storm, draw, step, "M7")
    return [
        Figure(
            "M7",
            "draws of what is sold out, through the edge",
            f"{spread(rates.a)} answers/s",
            f"live draws: {spread(rates.b)} draws/s",
            rates.ratio,
            f"≥ {GOAL:.0f}",
            rates.ratio >= GOAL,
            (f"sold out: {told}", f"live: {drawn}", compared(told, drawn)),
        )
    ]
