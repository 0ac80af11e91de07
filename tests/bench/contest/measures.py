"""
M2, M4 and M5: a draw by JSON through the whole of Kuji, against an empty handler behind the same
Envoy, and against what others would write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from services.common.server.serve import Front
from tests.bench.contest import kill
from tests.bench.contest.kuji import empty_side, kuji_side
from tests.bench.contest.references import IN_BACKGROUND, ROW_LOCKS, UNIT_ROWS, reference_side
from tests.bench.contest.sides import Side
from tests.bench.contest.window import BUSY, Window, draw
from tests.bench.figures import Alternation, Figure, Step, spread
from tests.bench.scale import Scale
from tests.bench.servers import Bench, front

# The empty handler of M2 has grpc.aio, whatever the draw process has.
GOALS = {
    Front.GATHERING: {"M2": 1.5, "M4": 5.0, "M5": 2.0},
    Front.GRPCIO: {"M2": 1.0, "M4": 5.0, "M5": 2.0},
}
_WARM_UP = 10  # of the users of a burst, one in so many


@dataclass
class _Turns:
    """A side's windows, in turn with those of the others."""

    side: Side
    bursts: list[Window] = field(default_factory=list)
    sustained: list[Window] = field(default_factory=list)

    def rates(self) -> list[float]:
        return [window.answered_per_s for window in self.bursts]

    def sustained_rates(self) -> list[float]:
        return [window.recorded_per_s for window in self.sustained]


async def measure_m2(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """Against the empty handler; a step for each window."""
    async with (
        bench.stack() as stack,
        kuji_side(stack, scale.crowd) as kuji,
        empty_side(bench, stack, kuji.crowd) as empty,
    ):
        return _figures("M2", *await _take_turns([kuji, empty], scale, step, "M2"))


async def measure_m4(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """Against the better of A and A2; a step for each window."""
    async with (
        bench.stack() as stack,
        kuji_side(stack, scale.crowd) as kuji,
        reference_side(bench, ROW_LOCKS, scale) as a,
        reference_side(bench, UNIT_ROWS, scale) as a2,
    ):
        ours, *others = await _take_turns([kuji, a, a2], scale, step, "M4")
        best, second = sorted(others, key=lambda turns: -median(turns.rates()))
        figures = _figures("M4", ours, best)
    rates = second.rates(), second.sustained_rates()
    return [
        replace(figure, notes=[*figure.notes, f"{second.side.name}: {spread(of_it)} draws/s"])
        for figure, of_it in zip(figures, rates, strict=True)
    ]


async def measure_m5(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """Against B, and what each loses when it is killed; a step for each window and each kill."""
    async with (
        bench.stack() as stack,
        kuji_side(stack, scale.crowd) as kuji,
        reference_side(bench, IN_BACKGROUND, scale) as b,
    ):
        figures = _figures("M5", *await _take_turns([kuji, b], scale, step, "M5"))
        return [*figures, await kill.measure(kuji, b, scale, step)]


async def _take_turns(sides: Sequence[Side], scale: Scale, step: Step, label: str) -> list[_Turns]:
    """Bursts of all sides in turn, and then sustained draws, likewise."""
    turns = [_Turns(side) for side in sides]
    for side in () if scale.is_smoke else sides:
        await draw(side, scale.rush // _WARM_UP)
    for number in range(1, scale.rounds + 1):
        for turn in turns:
            turn.bursts.append(await draw(turn.side, scale.rush))
            step(f"{label} {number}/{scale.rounds}")
    for number in range(1, scale.contest_rounds + 1):
        for turn in turns:
            turn.sustained.append(await draw(turn.side, scale.crowd, scale.contest_s))
            step(f"{label} long {number}/{scale.contest_rounds}")
    return turns


def _figures(id_: str, ours: _Turns, theirs: _Turns) -> list[Figure]:
    users = f"{len(ours.bursts)} × {ours.bursts[0].tally.draws:,} users"
    seconds = f"{len(ours.sustained)} × {ours.sustained[0].tally.seconds:.0f} s, to the last row"
    bursts = Alternation(ours.rates(), theirs.rates())
    sustained = Alternation(ours.sustained_rates(), theirs.sustained_rates())
    name = theirs.side.name
    return [
        figure_of(id_, users, bursts, name, ours.bursts, theirs.bursts),
        figure_of(id_, seconds, sustained, name, ours.sustained, theirs.sustained),
    ]


def figure_of(
    id_: str,
    what: str,
    rates: Alternation,
    against: str,
    ours: Sequence[Window],
    theirs: Sequence[Window],
) -> Figure:
    """A row of the table, with what else the windows of both sides showed."""
    busiest = max(window.tally.generator_cores for window in [*ours, *theirs])
    return Figure(
        id_,
        f"JSON draw through Envoy, {what}",
        f"{spread(rates.a)} draws/s",
        f"{against}: {spread(rates.b)} draws/s",
        rates.ratio,
        f"≥ {GOALS[front()][id_]:.2f}",
        rates.ratio >= GOALS[front()][id_],
        [
            f"Kuji: {_waits(ours)}",
            f"{against}: {_waits(theirs)}",
            f"generator: one process of Python, at most {busiest:.2f} of a core"
            + (": it was the limit" if busiest > BUSY else ""),
            f"by CPU alone: {_cpu_us(theirs) / _cpu_us(ours):.2f}",
        ],
        busiest <= BUSY,
    )


def _cpu_us(windows: Sequence[Window]) -> float:
    return median(window.cpu_us for window in windows)


def _waits(windows: Sequence[Window]) -> str:
    p50_ms = median(window.tally.p50_s for window in windows) * 1000
    p99_ms = median(window.tally.p99_s for window in windows) * 1000
    lag = spread([window.lag_s for window in windows], 2)
    cpu_us = spread([window.cpu_us for window in windows])
    return (
        f"p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms; {cpu_us} us of CPU a draw, all its processes; "
        f"last row {lag} s after the last answer"
    )
