"""The embedded stack: python -m stack run|up|down|status."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from services.common.settings import read_settings
from stack.foreground import run_stack
from stack.home import Home
from stack.parts import Addresses
from stack.probes import serves_http
from stack.processes import StackError
from stack.report import Reporter
from stack.settings import StackSettings

USAGE = "usage: python -m stack run|up|down|status"
_STOP_TIMEOUT_S = 45.0

console = Console(highlight=False)


def run(settings: StackSettings, ready_fd: int | None = None) -> int:
    """The stack in the foreground; once ready, in the background where *ready_fd* is given."""
    started, report = time.monotonic(), Reporter()
    report(f"Kuji starts in {settings.home}")

    def on_ready(addresses: Addresses, admin_password: str) -> None:
        report(f"✓ all healthy after {time.monotonic() - started:.1f} s")
        report.show(_welcome(settings, addresses, admin_password, ready_fd))
        if ready_fd is not None:
            _go_to_background(Home(settings.home), ready_fd)
        if ready_fd is not None or not sys.stdout.isatty():
            report.become_log()

    asyncio.run(run_stack(settings, report, on_ready))
    return 0


def _welcome(
    settings: StackSettings, addresses: Addresses, password: str, ready_fd: int | None
) -> Panel:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("URL", f"[bold cyan]{addresses.edge.url}[/]")
    facts.add_row("administrator", f"admin  [bold]{password}[/]")
    facts.add_row("logs", str(Home(settings.home).log("*")))
    facts.add_row("stop", "Ctrl-C" if ready_fd is None else "make down")
    return Panel(facts, title="Kuji runs", border_style="green", expand=False)


def _go_to_background(home: Home, ready_fd: int) -> None:
    sys.stdout.flush()
    log = os.open(home.log("stack"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    os.close(log)
    os.write(ready_fd, b"1")
    os.close(ready_fd)


def up() -> int:
    """The stack in the background; returns when it is healthy, or has failed."""
    ready, tell_ready = os.pipe()
    command = [sys.executable, "-m", "stack", "run", "--ready-fd", str(tell_ready)]
    process = subprocess.Popen(
        command, pass_fds=[tell_ready], stdin=subprocess.DEVNULL, start_new_session=True
    )
    os.close(tell_ready)
    try:
        return 0 if os.read(ready, 1) else process.wait()
    except KeyboardInterrupt:
        process.terminate()
        return process.wait() or 130


def down(settings: StackSettings) -> int:
    """Stop the stack; its data stays."""
    home = Home(settings.home)
    owner = home.owner()
    if owner is None:
        console.print(f"No stack runs in {home.folder}", soft_wrap=True)
        return 0
    os.kill(owner, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while home.owner() == owner:
        if time.monotonic() > deadline:
            os.kill(owner, signal.SIGKILL)  # its children go with it
        time.sleep(0.05)
    console.print(f"[green]✓[/] stopped; the data stays in {home.folder}", soft_wrap=True)
    return 0


def status(settings: StackSettings) -> int:
    """What runs; 0 where all of it is healthy."""
    home = Home(settings.home)
    owner = home.owner()
    if owner is None or not home.pids_file.exists():
        console.print(f"No stack runs in {home.folder}", soft_wrap=True)
        return 1
    table = Table("part", "process", "state")
    for name, pid in json.loads(home.pids_file.read_text()).items():
        table.add_row(name, str(pid), "runs" if _is_alive(pid) else "[red]dead[/]")
    console.print(table)
    is_healthy = asyncio.run(serves_http(settings.edge_port, "/healthz"))
    console.print("[green]✓[/] healthy" if is_healthy else "[red]✗[/] not healthy")
    return 0 if is_healthy else 1


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> int:
    """Do what the command line says; exit code 1 and one sentence where that fails."""
    settings = read_settings(StackSettings)
    os.umask(0o077)  # whatever is written is nobody else's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        match sys.argv[1:]:
            case ["run"]:
                return run(settings)
            case ["run", "--ready-fd", descriptor]:
                return run(settings, int(descriptor))
            case ["up"]:
                return up()
            case ["down"]:
                return down(settings)
            case ["status"]:
                return status(settings)
    except StackError as error:
        console.print(f"✗ {error}", style="red", markup=False, soft_wrap=True)
        return 1
    console.print(USAGE)
    return 2


if __name__ == "__main__":
    sys.exit(main())
