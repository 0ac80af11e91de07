"""
The long form of the chaos test: every fault of the table, one by one, on a stack of its own.

Usage: python -m tests.chaos [--short] [WORD …]; with words, only the faults whose names hold one.
As root, KUJI_HOME is a file system of its own, whose space ends for one of the faults.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from ops.terminal import out, progress
from tests.chaos.driver import Audience, Course, Plan, chaos_stack, drive
from tests.chaos.faults import HOME_SIZE, LONG, SHORT, Fault
from tests.chaos.told import OK
from tests.chaos.verdict import Verdict

_WITHIN_S = 600.0  # the last fault begins by then, so that all is over in a quarter of an hour
_SCARCE_UNITS = 4000


def main(arguments: Sequence[str]) -> int:
    """0 where nothing was lost, doubled, oversold, or untrue, and no hand was needed."""
    begun = time.monotonic()
    is_short = "--short" in arguments
    words = [word for word in arguments if word != "--short"]
    with _home() as (home, has_own_disk):
        faults = [
            fault
            for fault in (SHORT if is_short else LONG)
            if (has_own_disk or not fault.needs_root)
            and (not words or any(word in fault.name for word in words))
        ]
        out.print(f"{len(faults)} faults, on a stack in {home}")
        with chaos_stack(home) as stack, progress() as bars:
            audience = _Terminal(bars, len(faults))
            plan = Plan(faults, _SCARCE_UNITS, _WITHIN_S)
            verdict = asyncio.run(drive(stack, plan, audience))
            audience.over()
        if verdict.sentences():
            kept = tempfile.mkdtemp(prefix="kuji-chaos-logs-")
            shutil.copytree(home / "logs", kept, dirs_exist_ok=True)
            out.print(f"The logs are kept in {kept}")
    out.print(_table(audience.courses))
    _print_verdict(verdict, time.monotonic() - begun)
    return 1 if verdict.sentences() else 0


@contextmanager
def _home() -> Iterator[tuple[Path, bool]]:
    """A fresh KUJI_HOME, and whether it is a file system of its own."""
    with tempfile.TemporaryDirectory(prefix="kuji-chaos-") as name:
        if not _mounted(name):
            out.print("! no full disk: only root can give KUJI_HOME a file system of its own")
            yield Path(name), False
            return
        try:
            yield Path(name), True
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def _mounted(folder: str) -> bool:
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={HOME_SIZE},mode=700", "kuji-chaos", folder]
    return subprocess.run(command, check=False).returncode == 0


class _Terminal(Audience):
    """Shows a bar, and a line for each fault once it is over."""

    def __init__(self, bars: Progress, faults: int) -> None:
        self.courses: list[Course] = []
        self._bars = bars
        self._task = bars.add_task("chaos", total=faults, note="opening a market")

    def begins(self, fault: Fault) -> None:
        """The *fault* befalls the stack now."""
        self._bars.update(self._task, note=f"{fault.name}, {fault.seconds:.0f} s")

    def ended(self, course: Course) -> None:
        """All goes well again, or will not."""
        self.courses.append(course)
        self._bars.update(self._task, advance=1, note="the verdict")
        found = [*course.untrue(), *course.unhealed()]
        out.print(f"{'✗' if found else '✓'} {course.fault.name}")
        for sentence in found:
            out.print(f"    {sentence}", soft_wrap=True)

    def over(self) -> None:
        """Nothing more is done."""
        self._bars.update(self._task, note="")


def _table(courses: Sequence[Course]) -> Table:
    """Seconds that it lasts, until all is well after it, and that a call had to be repeated for."""
    table = Table("fault", title="What befell the stack, and what callers were told", box=SIMPLE)
    for heading in ("lasts", "well after", "answered", "to repeat", "a draw", "others"):
        table.add_column(heading, justify="right", no_wrap=True)
    for course in courses:
        answers = course.told.answers
        answered = sum(count for (_, what), count in answers.items() if what == OK)
        longest = {"draw": 0.0, **course.told.longest_s}
        table.add_row(
            course.fault.name,
            f"{course.fault.seconds:.0f} s",
            "not" if course.recovered_s is None else f"{course.recovered_s:.1f} s",
            str(answered),
            str(answers.total() - answered),
            f"{longest.pop('draw'):.1f} s",
            f"{max(longest.values(), default=0.0):.1f} s",
        )
    return table


def _print_verdict(verdict: Verdict, seconds: float) -> None:
    out.print(f"{verdict.draws} draws and {verdict.orders} orders answered, in {seconds:.0f} s")
    for name, found in verdict.found().items():
        out.print(f"{'✗' if found else '✓'} {name}: {len(found)}")
        for sentence in found[:20]:
            out.print(f"    {sentence}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
