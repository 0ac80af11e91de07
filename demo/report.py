"""Pieces of what an act prints at its end."""

import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console, RenderableType
from rich.table import Table

from demo.checks import Check

_PROBLEMS = 10


def print_sections(console: Console, sections: Mapping[str, RenderableType]) -> None:
    """Each section under its title."""
    for title, content in sections.items():
        console.print(f"\n[bold]{title}[/]")
        console.print(content)


def table(*columns: str) -> Table:
    """An empty table with these headings."""
    return Table(*columns, box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))


def facts_table(facts: Mapping[str, str]) -> Table:
    """A name and a value on each line."""
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        grid.add_row(name, value)
    return grid


def latency(seconds: Sequence[float]) -> str:
    """Two percentiles of at least two durations."""
    percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"p50 {percentiles[49] * 1000:.1f} ms, p99 {percentiles[98] * 1000:.1f} ms"


def print_verdict(console: Console, checks: Sequence[Check]) -> bool:
    """Each check with what breaks it, then the verdict; whether it is good."""
    console.print("\n[bold]Verdict[/]")
    for check in checks:
        console.print(
            f"[red]✗[/] {check.promise}" if check.problems else f"[green]✓[/] {check.promise}"
        )
        for problem in check.problems[:_PROBLEMS]:
            console.print(f"    {problem}", markup=False, soft_wrap=True)
        if len(check.problems) > _PROBLEMS:
            console.print(f"    … and {len(check.problems) - _PROBLEMS} more")
    is_good = not any(check.problems for check in checks)
    console.print("[bold green]The books balance.[/]" if is_good else "[bold red]FAILED[/]")
    return is_good
