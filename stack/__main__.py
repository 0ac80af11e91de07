"""The embedded stack: python -m stack run|up|down|status."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.common.settings import read_settings
from stack.home import Home
from stack.processes import StackError, command
from stack.report import Reporter
from stack.settings import StackSettings

if TYPE_CHECKING:
    from stack.parts import Addresses

USAGE = "usage: python -m stack run|up|down|status"
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 45.0

report = Reporter()


def run(settings: StackSettings, ready_fd: int | None = None) -> int:
    """The stack in the foreground; once ready, in the background where *ready_fd* is given."""
    from stack.foreground import run_stack  # long to import, and only needed here

    started = time.monotonic()
    report(f"Kuji starts in {settings.home}")

    def on_ready(addresses: "Addresses", admin_password: str) -> None:
        report(f"✓ all healthy after {time.monotonic() - started:.1f} s")
        report.show(_welcome(settings, addresses, admin_password, ready_fd))
        if ready_fd is not None:
            _go_to_background(Home(settings.home), ready_fd)
        if ready_fd is not None or not sys.stdout.isatty():
            report.become_log()
            report(f"✓ Kuji runs: {addresses.edge.url}")

    asyncio.run(run_stack(settings, report, on_ready))
    return 0


def _welcome(
    settings: StackSettings, addresses: "Addresses", password: str, ready_fd: int | None
) -> Panel:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("URL", f"[bold cyan]{addresses.edge.url}[/]")
    facts.add_row("page", f"[bold cyan]{addresses.edge.url}/[/]")
    facts.add_row("administrator", f"admin  [bold]{password}[/]")
    facts.add_row("logs", str(Home(settings.home).log("*")))
    facts.add_row("stop", "Ctrl-C" if ready_fd is None else command("down"))
    return Panel(facts, title="Kuji runs", border_style="green", expand=False)


def _go_to_background(home: Home, ready_fd: int) -> None:
    sys.stdout.flush()
    log = os.open(home.log("stack"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    os.close(log)
    os.write(ready_fd, b"1")
    os.close(ready_fd)


def up(settings: StackSettings) -> int:
    """The stack in the background; returns when it is healthy, or has failed."""
    home = Home(settings.home)
    if home.is_owned():
        return _say_where(home)
    ready, tell_ready = os.pipe()
    program = [sys.executable, "-m", "stack", "run", "--ready-fd", str(tell_ready)]
    process = subprocess.Popen(
        program, pass_fds=[tell_ready], stdin=subprocess.DEVNULL, start_new_session=True
    )
    os.close(tell_ready)
    try:
        return 0 if os.read(ready, 1) else process.wait()
    except KeyboardInterrupt:
        process.terminate()
        return process.wait() or 130


def _say_where(home: Home) -> int:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not home.endpoints_file.exists():
        if not home.is_owned():
            raise StackError(f"The stack that was starting in {home.folder} has ended")
        if time.monotonic() > deadline:
            raise StackError(f"A stack is starting in {home.folder}, and is not ready yet")
        time.sleep(0.1)
    url = json.loads(home.endpoints_file.read_text("utf-8"))["edge"]
    report(f"✓ Kuji runs already in {home.folder}: {url}")
    return 0


def down(settings: StackSettings) -> int:
    """Stop the stack; its data stays."""
    home = Home(settings.home)
    owner = home.owner()
    if owner is None:
        report(f"No stack runs in {home.folder}")
        return 0
    os.kill(owner, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while home.owner() == owner:
        if time.monotonic() > deadline:
            os.kill(owner, signal.SIGKILL)  # its children go with it
        time.sleep(0.05)
    report(f"✓ stopped; the data stays in {home.folder}")
    return 0


def status(settings: StackSettings) -> int:
    """What runs, and how it is; 0 where nothing has to be done."""
    from stack.status import ask  # likewise

    home = Home(settings.home)
    if home.owner() is None:
        report(f"No stack runs in {home.folder}")
        return 1
    if not home.endpoints_file.exists():
        report(f"A stack is starting in {home.folder}, and is not ready yet")
        return 1
    found = asyncio.run(ask(home))
    table = Table("part", "process", "state")
    for part in found.parts:
        state = Text(part.state, style="" if part.is_well else "red")
        table.add_row(part.name, "given" if part.pid is None else str(part.pid), state)
    report.show(table)
    for note in found.notes:
        report(note)
    report("✓ healthy" if found.is_well else "✗ not healthy")
    return 0 if found.is_well else 1


def main(arguments: Sequence[str]) -> int:
    """Do what *arguments* say; exit code 1 and one sentence where that fails."""
    settings = read_settings(StackSettings)
    os.umask(0o077)  # whatever is written is nobody else's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        match list(arguments):
            case ["run"]:
                return run(settings)
            case ["run", "--ready-fd", descriptor]:
                return run(settings, int(descriptor))
            case ["up"]:
                return up(settings)
            case ["down"]:
                return down(settings)
            case ["status"]:
                return status(settings)
    except StackError as error:
        report(f"✗ {error}")
        return 1
    except OSError as error:  # a folder that may not be written, a disk that is full
        report(f"✗ {error.filename}: {error.strerror}" if error.filename else f"✗ {error}")
        return 1
    report(USAGE)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
