"""python -m tests.load: load of one kind on a whole stack, and the verdict on what it answered."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from demo.own_stack import own_stack
from demo.system import open_system
from ops.connections import Endpoints, read_endpoints
from ops.errors import OperatorError
from ops.terminal import complain, counted, progress
from tests.load.busy import read_busy
from tests.load.figures import read_exceptions
from tests.load.generator import Load, run_locust
from tests.load.preparation import prepare
from tests.load.report import Outcome, print_report, write_report
from tests.load.scenarios import SCENARIOS
from tests.load.verdict import judge

_CHECKS_FAILED = 3  # as locust-plugins ends
_CONNECTIONS = 16
_ALL = "all"
# A table in a file need not be as narrow as a terminal.
_out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


class Target(NamedTuple):
    """The stack under load: where it keeps its data, where its parts are, and how to kill one."""

    home: Path
    endpoints: Endpoints
    kill: Callable[[str], None]


@contextmanager
def _target(here: bool) -> Iterator[Target]:
    if here:
        home = Path(os.environ.get("KUJI_HOME", ".run"))
        yield Target(home, read_endpoints(home), _refuse_to_kill)
        return
    with own_stack("load") as stack:
        yield Target(stack.folder, stack.endpoints, stack.kill)


def _refuse_to_kill(_: str) -> None:
    raise OperatorError("Parts are killed of a stack of the test's own alone")


async def _test(target: Target, name: str, load: Load, players: int, kill: str) -> Outcome:
    scenario, folder = SCENARIOS[name], Path(tempfile.mkdtemp(prefix=f"kuji-load-{name}-"))
    with progress() as bars:
        async with open_system(target.endpoints, _CONNECTIONS, bars) as system:
            task = bars.add_task(name, total=None, note="making ready")
            prepared = await prepare(system, scenario, players, folder, target.home)
            note = (
                f"{counted(load.users, 'user')}, {load.seconds} s" if not load.web else "see above"
            )
            bars.update(task, note=note)
            middle = (lambda: target.kill(kill)) if kill else None
            ended = await run_locust(prepared.plan, scenario.users, load, middle)
            bars.update(task, note="comparing")
            verdict = await judge(system, prepared.pool_ids, folder)
            prepared.plan.remove_secrets()
            bars.remove_task(task)
    failed = "; ".join(_failures(ended, folder))
    killed = f"{kill} was killed in the middle" if kill else ""
    outcome = Outcome(verdict, read_busy(folder), ended == _CHECKS_FAILED, failed, killed)
    write_report(outcome, folder)
    print_report(_out, f"{name}: {scenario.title}", outcome, folder)
    return outcome


def _failures(ended: int, folder: Path) -> Iterator[str]:
    if ended not in (0, _CHECKS_FAILED):
        yield f"it ended with {ended}, see {folder / 'locust.log'}"
    yield from read_exceptions(folder)


def main(
    names: Annotated[
        list[str],
        typer.Argument(metavar="SCENARIO…", help=f"Of {', '.join(SCENARIOS)}, or {_ALL}."),
    ],
    seconds: Annotated[int, typer.Option(help="How long each takes.", min=1, max=86_400)] = 20,
    users: Annotated[int, typer.Option(help="Users at once.", min=1, max=10_000)] = 32,
    processes: Annotated[int, typer.Option(help="Of the generator.", min=1, max=64)] = 1,
    players: Annotated[int, typer.Option(help="Accounts that draw.", min=20, max=10**6)] = 2000,
    here: Annotated[
        bool, typer.Option(help="On the stack of KUJI_HOME, not one of its own.")
    ] = False,
    web: Annotated[bool, typer.Option(help="Led from locust's page, until it is stopped.")] = False,
    kill: Annotated[str, typer.Option(help="A part to kill in the middle, such as draw.")] = "",
    locust: Annotated[str, typer.Option(help='More of locust\'s, such as "--check-rps 50".')] = "",
) -> None:
    """
    Load on a whole stack; then every answer is compared with Postgres, and the books are looked at.

    Exit code 0: all is well; 1: a promise is broken; 2: there is no result; 3: a threshold of
    --locust was not met; 4: the generator was the limit, so the figures are not Kuji's.
    """
    unknown = set(names) - SCENARIOS.keys() - {_ALL}
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}")
    chosen = list(SCENARIOS) if _ALL in names else names
    load = Load(users, seconds, processes, web, locust.split())
    try:
        with _target(here) as target:
            outcomes = [asyncio.run(_test(target, name, load, players, kill)) for name in chosen]
    except OperatorError as error:
        complain(str(error))
        raise typer.Exit(2) from error
    raise typer.Exit(max((outcome.exit_code for outcome in outcomes), default=0))


if __name__ == "__main__":
    typer.run(main)
