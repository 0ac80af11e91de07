"""kuji ghz: load tests as ghz makes them."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
import uvloop

from ops.errors import OperatorError
from ops.ghz.checks import checked
from ops.ghz.command_line import read_options
from ops.ghz.options import GhzOptions
from ops.ghz.reports.formats import WRITERS
from ops.ghz.reports.report import report_of
from ops.ghz.runner import run
from ops.terminal import err

# The words are read by ops.ghz.command_line: they are ghz's, --help and all.
SETTINGS = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": [],
}


def ghz(context: typer.Context) -> None:
    """
    Call a gRPC method again and again, and report how long it took: a stand-in for ghz 0.121,
    whose options, configuration files and reports it has. See docs/ghz.md.
    """
    make_load(context.args)


def make_load(arguments: Sequence[str]) -> None:
    """What `kuji ghz` does; the report goes where it is to go, the rest to stderr."""
    options = checked(read_options(arguments))
    with _output(options) as write, _cores(options.cpus):
        finished = uvloop.run(run(options))
        report = report_of(options, finished, time.time_ns())
        write(WRITERS[options.format](report))
    style = "yellow" if finished.busyness.was_the_limit else "dim"
    err.print(str(finished.busyness), style=style, soft_wrap=True)


@contextmanager
def _output(options: GhzOptions) -> Iterator[Callable[[str], int]]:
    """A file that cannot be written is found before the run, not after it."""
    if not options.output:
        yield sys.stdout.write
        return
    try:
        with Path(options.output).open("w", encoding="utf-8") as file:
            yield file.write
    except OSError as error:
        raise OperatorError(f"output: {options.output}: {error.strerror}") from None


@contextmanager
def _cores(wanted: int) -> Iterator[None]:
    """While it lasts, this process runs on no more than *wanted* cores; 0: on all."""
    mine = os.sched_getaffinity(0)
    if not 0 < wanted < len(mine):
        yield
        return
    os.sched_setaffinity(0, set(sorted(mine)[:wanted]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)
