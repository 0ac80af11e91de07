"""The table, and the same as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure


@dataclass(frozen=True)
class Conditions:
    """
    What the figures hold for.

    Args:
        cores: Cores that the run could use.
        cpu: The processor.
        load_before: Load average of the minute before.
        is_smoke: Whether it was the smoke test, whose figures mean nothing.
        front: What serves gRPC in the draw process.
    """

    cores: int
    cpu: str
    load_before: float
    is_smoke: bool
    front: str

    def __str__(self) -> str:
        busy = "" if self.load_before < 0.5 else " (not quiet)"
        return (
            f"{self.cores} cores, {self.cpu}; load before {self.load_before:.2f}{busy}; "
            f"front: {self.front}; "
            "appendfsync always, Postgres fsync and synchronous_commit on"
        )


def print_table(console: Console, conditions: Conditions, figures: Sequence[Figure]) -> None:
    """The figures with goal and verdict, and under them what else was seen."""
    table = Table("id", "figure", "measured", "against", "ratio", "goal", "verdict")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(
            figure.id,
            figure.what,
            figure.measured,
            figure.against,
            ratio,
            figure.goal,
            verdict(figure, conditions.is_smoke),
        )
    console.print(table)
    for figure in figures:
        for note in figure.notes:
            console.print(f"{figure.id}  {note}", markup=False, soft_wrap=True)
    console.print(str(conditions), markup=False, soft_wrap=True)


def summary(figure: Figure) -> str:
    """*figure* in a line."""
    against = f"; {figure.against}" if figure.against else ""
    ratio = "" if figure.ratio is None else f"; ratio {figure.ratio:.2f}"
    return f"{figure.what}: {figure.measured}{against}{ratio}"


def verdict(figure: Figure, is_smoke: bool) -> str:
    """What the table says of *figure*."""
    if is_smoke or not figure.goal:
        return "not judged"
    if not figure.is_valid:
        return "[red]invalid[/]"
    return "[green]met[/]" if figure.met else "[red]missed[/]"


def to_json(conditions: Conditions, figures: Sequence[Figure]) -> str:
    """The same for programs."""
    document = {
        "conditions": asdict(conditions),
        "figures": [asdict(figure) for figure in figures],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)
