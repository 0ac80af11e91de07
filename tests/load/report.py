"""The report of a load test: locust's own, with the verdict in it, and a few lines to read."""

import csv
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.load.busy import Busy, told, was_the_limit
from tests.load.figures import read_lines
from tests.load.verdict import Verdict


@dataclass(frozen=True)
class Outcome:
    """
    How a load test ended.

    Args:
        verdict: On Kuji's promises.
        busy: The generator's processes.
        checks_failed: Whether a threshold that was asked for was not met (--check-…).
        failed: Why locust itself failed; empty: it did not.
        killed: What was done to the stack meanwhile; empty: nothing.
    """

    verdict: Verdict
    busy: Sequence[Busy]
    checks_failed: bool
    failed: str = ""
    killed: str = ""

    @property
    def lines(self) -> list[tuple[bool, str]]:
        """What was found, and whether it is as it should be."""
        counted = ", ".join(f"{count} {what}" for what, count in self.verdict.answered.items())
        unheard = f"; {self.verdict.unheard} more were made whose answer nobody got"
        lines = [(True, self.killed)] if self.killed else []
        lines.append((True, f"answers compared with Postgres: {counted or 'none'}{unheard}"))
        lines += [
            (False, f"{finding.times} {finding.what}: {finding.examples}")
            for finding in self.verdict.findings
        ]
        if self.verdict.is_good:
            lines.append((True, "none lost, none doubled; the books balance"))
        elif not self.verdict.findings:
            lines.append((False, "nothing was answered, so nothing is shown"))
        valid = not was_the_limit(self.busy)
        lines.append((valid, told(self.busy) + ("" if valid else ": it was the limit, not Kuji")))
        if self.checks_failed:
            lines.append((False, "a threshold was not met"))
        if self.failed:
            lines.append((False, f"locust: {self.failed}"))
        return lines

    @property
    def exit_code(self) -> int:
        """0: good; 1: a promise is broken; 2: no result; 3: a threshold; 4: the run is invalid."""
        if not self.verdict.is_good:
            return 1
        if self.failed:
            return 2
        if was_the_limit(self.busy):
            return 4
        return 3 if self.checks_failed else 0


def write_report(outcome: Outcome, folder: Path) -> None:
    """Put the verdict into *folder*: verdict.csv, and into locust's page, at its top."""
    with (folder / "verdict.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["good", "what"])
        out.writerows((str(good).lower(), text) for good, text in outcome.lines)
    page = folder / "report.html"
    if page.exists():
        shown = re.sub(
            r"(<body[^>]*>)", rf"\1{_section(outcome)}", page.read_text("utf-8"), count=1
        )
        page.write_text(shown, "utf-8")


def _section(outcome: Outcome) -> str:
    rows = "".join(
        f'<li style="color:{"#1b7f3b" if good else "#b3261e"}">{html.escape(text)}</li>'
        for good, text in outcome.lines
    )
    title = "Kuji's verdict: good" if outcome.exit_code == 0 else "Kuji's verdict: not good"
    style = "font:16px/1.5 sans-serif;margin:1.5em;padding:0.5em 1.5em;border:1px solid #999"
    # A backslash would be read as a group of the pattern that puts it in.
    return f'<section style="{style}"><h1>{title}</h1><ul>{rows}</ul></section>'.replace("\\", "/")


def print_report(out: Console, title: str, outcome: Outcome, folder: Path) -> None:
    """The rates and waits, the verdict, and where the whole report is."""
    out.print(_table(title, folder))
    for good, text in outcome.lines:
        out.print(f"[green]✓[/] {text}" if good else f"[red]✗[/] {text}", soft_wrap=True)
    out.print(f"report: {folder}/report.html, {folder}/*.csv", soft_wrap=True)


def _table(title: str, folder: Path) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("call", no_wrap=True)
    for name in ("calls", "failed", "calls/s", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(name, justify="right")
    for name, calls, failed, per_s, *waits in read_lines(folder):
        cells = (f"{number:.0f}" for number in (per_s, *waits))
        table.add_row(name, str(calls), str(failed), *cells)
    return table
