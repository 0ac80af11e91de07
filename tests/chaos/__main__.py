"""
The long form of the chaos test: every fault of the table, one by one, on a stack of its own.

Usage: python -m tests.chaos [--short] [WORD …]; with words, only the faults whose names hold one.
As root, KUJI_HOME is a file system of its own, whose space ends for one of the faults.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.driver import Course, chaos_stack, drive
from tests.chaos.faults import HOME_SIZE, LONG, SHORT
from tests.chaos.verdict import Verdict


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
        print(f"{len(faults)} faults, on a stack in {home}", flush=True)
        with chaos_stack(home) as stack:
            verdict = asyncio.run(drive(stack, faults, _print))
    _print_verdict(verdict, time.monotonic() - begun)
    return 1 if verdict.sentences() else 0


@contextmanager
def _home() -> Iterator[tuple[Path, bool]]:
    """A fresh KUJI_HOME, and whether it is a file system of its own."""
    with tempfile.TemporaryDirectory(prefix="kuji-chaos-") as name:
        if not _mounted(name):
            print("! KUJI_HOME is no file system of its own: that takes root", flush=True)
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


def _print(course: Course) -> None:
    found = [*course.untrue(), *course.unhealed()]
    answers = course.told.answers
    succeeded = sum(n for (_, what), n in answers.items() if what == "OK")
    back = "-" if course.recovered_s is None else f"{course.recovered_s:.1f} s"
    longest = max(course.told.longest_s.values(), default=0.0)
    print(
        f"{'✗' if found else '✓'} {course.fault.name:<26} {course.fault.seconds:4.0f} s, well again"
        f" after {back:>6}; {succeeded} answered, {answers.total() - succeeded} told to repeat,"
        f" longest wait {longest:.1f} s",
        *(f"\n    {sentence}" for sentence in found),
        flush=True,
    )


def _print_verdict(verdict: Verdict, seconds: float) -> None:
    print(f"\n{verdict.draws} draws and {verdict.orders} orders answered in {seconds:.0f} s")
    for name in ("lost", "doubled", "oversold", "internal", "hands"):
        found: list[str] = getattr(verdict, name)
        title = {"internal": "INTERNAL", "hands": "hands needed"}.get(name, name)
        print(f"{'✗' if found else '✓'} {title} {len(found)}")
        for sentence in found[:20]:
            print(f"    {sentence}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
