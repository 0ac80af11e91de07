"""Locust as a process of its own: what it is told, how long it runs, and how it ended."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from stack.processes import ROOT
from tests.load.plan import Plan

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_STOP_TIMEOUT_S = 30
_KILL_AT = 0.5  # of the time


@dataclass(frozen=True)
class Load:
    """
    How much of it.

    Args:
        users: At once, shared out over the kinds of the scenario.
        seconds: How long.
        processes: Of the generator.
        web: Whether locust's page leads the test, instead of the clock.
        options: More of locust's.
    """

    users: int
    seconds: int
    processes: int = 1
    web: bool = False
    options: Sequence[str] = ()


async def run_locust(
    plan: Plan, kinds: Sequence[str], load: Load, in_the_middle: Callable[[], None] | None = None
) -> int:
    """How locust ended; its report is in the plan's folder."""
    folder = Path(plan.folder)
    with ExitStack() as files:
        log = None if load.web else files.enter_context((folder / "locust.log").open("w"))
        process = await asyncio.create_subprocess_exec(
            *_command(plan, folder, kinds, load),
            cwd=ROOT,
            env={**plan.handed_to_users(), "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
        try:
            if in_the_middle is not None:
                await asyncio.sleep(load.seconds * _KILL_AT)
                in_the_middle()
            return await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


def _command(plan: Plan, folder: Path, kinds: Sequence[str], load: Load) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), *kinds]
    command += ["--host", plan.edge, "-u", str(load.users), "-r", str(load.users)]
    command += ["--csv", str(folder / "locust"), "--html", str(folder / "report.html")]
    command += ["--json-file", str(folder / "locust")]
    command += ["--exit-code-on-error", "0", "--stop-timeout", str(_STOP_TIMEOUT_S)]
    if load.processes > 1:
        command += ["--processes", str(load.processes)]
    if not load.web:
        command += ["--headless", "--only-summary", "-t", f"{load.seconds}s"]
    return [*command, *load.options]
