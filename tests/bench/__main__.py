"""python -m tests.bench: measure, and print each figure beside its goal."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stack.processes import Child, StackError
from tests.bench import confirmed, growth, idle, machine, memory, sustained, unary
from tests.bench.contest import measures as contest
from tests.bench.figures import Figure, Step
from tests.bench.pools import BooksError
from tests.bench.profile import measure as profile
from tests.bench.report import Conditions, print_table, summary, to_json
from tests.bench.scale import FULL, SMOKE, Scale
from tests.bench.servers import Bench, NotDurableError, front, open_bench
from tests.bench.whole import latency, sold_out, visible, winner_list
from tests.support.warm_start import warm_start

Measure = Callable[[Bench, Scale, Step], Awaitable[list[Figure]]]
MEASURES: dict[str, Measure] = {
    "M1": unary.measure,
    "M2": contest.measure_m2,
    "M3": sustained.measure,
    "M4": contest.measure_m4,
    "M5": contest.measure_m5,
    "M6": winner_list.measure,
    "M7": sold_out.measure,
    "M8": visible.measure,
    "M9": memory.measure,
    "M10": growth.measure,
    "M11": idle.measure,
    "M12": latency.measure,
    "P1": profile.measure,
    "X1a": confirmed.measure_recorded,
    "X1b": confirmed.measure_replica,
}
# A table in a file need not be as narrow as a terminal.
_out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
_err = Console(highlight=False, stderr=True)


def _steps(ids: list[str], scale: Scale) -> int:
    windows = {"M1": 2, "M3": 2, "M6": 2, "M7": 2, "M8": 1, "M10": 6, "M12": 4, "X1a": 4, "X1b": 4}
    sides = {"M2": 2, "M4": 3, "M5": 2}
    once = {"M5": 2, "M11": 2, "M9": 1, "P1": 4}
    of_sides = sum(sides.get(id_, 0) for id_ in ids) * (scale.rounds + scale.contest_rounds)
    in_turn = sum(windows.get(id_, 0) for id_ in ids) * scale.rounds
    return of_sides + in_turn + sum(once.get(id_, 0) for id_ in ids)


async def _measure(ids: list[str], scale: Scale) -> list[Figure]:
    figures: list[Figure] = []
    columns = TextColumn("{task.description:<16}"), BarColumn(30), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=_err) as bar:
        task = bar.add_task("starting", total=_steps(ids, scale))

        def step(label: str) -> None:
            bar.update(task, advance=1, description=label)

        async with open_bench(scale) as bench:
            for id_ in ids:
                found = await MEASURES[id_](bench, scale, step)
                figures += found
                # A run of half an hour that is broken off has shown what it had.
                for figure in found:
                    bar.print(f"{figure.id}  {summary(figure)}", markup=False, soft_wrap=True)
    return figures


def _chosen(ids: list[str]) -> list[str]:
    unknown = set(ids) - set(MEASURES)
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}")
    return ids or list(MEASURES)


def bench(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID…]", help=f"Of {', '.join(MEASURES)}; none: all."),
    ] = None,
    smoke: Annotated[bool, typer.Option(help="See that it works; judge nothing.")] = False,
    long_rounds: Annotated[
        int, typer.Option(help="Sustained windows of M2, M4 and M5, of each side.", min=1, max=20)
    ] = FULL.contest_rounds,
    json: Annotated[bool, typer.Option(help="Print JSON instead of the table.")] = False,
) -> None:
    """
    Measure the draw path on this machine, with durability on.

    Exit code 0: measured, whatever the verdicts; 1: a draw failed, or the rows in Postgres are
    not the answers that were given, or a server did not start.
    """
    chosen = _chosen(ids or [])
    conditions = Conditions(
        machine.cores(), machine.cpu_model(), machine.load(), smoke, front().value
    )
    scale = SMOKE if smoke else replace(FULL, contest_rounds=long_rounds)
    if smoke:
        Child.start = staticmethod(warm_start)
    try:
        figures = asyncio.run(_measure(chosen, scale))
    except (BooksError, NotDurableError, StackError) as error:
        _err.print(f"✗ {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    if json:
        print(to_json(conditions, figures))
    else:
        print_table(_out, conditions, figures)


if __name__ == "__main__":
    typer.run(bench)
