"""What is checked, and what is printed of it."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.table import Table

_PROBLEMS = 10


class Check(NamedTuple):
    """A promise, and what breaks it; no problems: it holds."""

    promise: str
    problems: Sequence[str]


def differences(what: str, told: Iterable[Hashable], found: Iterable[Hashable]) -> Iterator[str]:
    """What *found* lacks of what users were *told*, and what it has beside it, in any order."""
    expected, actual = Counter(told), Counter(found)
    for one, times in (expected - actual).items():
        yield f"{what}: {times} × missing: {one}"
    for one, times in (actual - expected).items():
        yield f"{what}: {times} × too many: {one}"


def print_verdict(console: Console, checks: Sequence[Check]) -> bool:
    """Each check with what breaks it, then the verdict; whether it is good."""
    console.print("\n[bold]Verdict[/]")
    for check in checks:
        sign = "[red]✗[/]" if check.problems else "[green]✓[/]"
        console.print(f"{sign} {check.promise}")
        for problem in check.problems[:_PROBLEMS]:
            console.print(f"    {problem}", markup=False, soft_wrap=True)
        if len(check.problems) > _PROBLEMS:
            console.print(f"    … and {len(check.problems) - _PROBLEMS} more")
    is_good = not any(check.problems for check in checks)
    console.print("[bold green]The books balance.[/]" if is_good else "[bold red]FAILED[/]")
    return is_good


def print_sections(console: Console, sections: Mapping[str, RenderableType]) -> None:
    """Each section under its title."""
    for title, content in sections.items():
        console.print(f"\n[bold]{title}[/]")
        console.print(content)


def table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table with these headings; *numbers* stand on the right."""
    empty = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        empty.add_column(column, justify="right" if column in numbers else "left")
    return empty


def facts_table(facts: Mapping[str, str]) -> Table:
    """A name and a value on each line."""
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        grid.add_row(name, value)
    return grid


def latency(seconds: Sequence[float]) -> str:
    """Two percentiles of durations."""
    ordered = sorted(seconds) or [0.0]
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
