"""
Forks our programs off a process that has imported the libraries that they need, which else takes
seconds each.

What is started is an ordinary child of whoever asked: its own process and group, with the
environment, folder and output that it was given, and waited for as any other. It runs what
`python -m` runs. Usage of the template itself: python -m tests.support.warm_start FD, where FD is a
socket that takes requests.
"""

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import resource
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from prometheus_client import REGISTRY
from prometheus_client.registry import Collector

from stack.processes import ROOT, Process, Program, start
from stack.tether import PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG

_PR_SET_CHILD_SUBREAPER = 36
_OURS = ("services", "stack", "ops", "demo", "tests")
_SERVICES = ("auth", "draw", "admin", "history", "recorder")
_IMPORTS = (
    *(f"services.{service}.__main__" for service in _SERVICES),
    "stack.__main__",
    "stack.foreground",
    "stack.status",
)
# What is read when a process begins, or when a library is loaded.
_READ_ONCE = ("PYTHON", "LC_", "LANG", "LD_", "GRPC_", "MALLOC_", "OPENSSL_", "SSL_", "TZ")
_REQUEST_BYTES = 128 * 1024
_TIMEOUT_S = 300.0  # the first time all is imported
_prctl = ctypes.CDLL(None).prctl


class _Adopted:
    """A process that was forked elsewhere, and is a child of this one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has; subprocess.TimeoutExpired after *timeout* seconds."""
        if self.poll() is None:
            descriptor = os.pidfd_open(self.pid)
            select.select([descriptor], [], [], timeout)
            os.close(descriptor)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("", timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        """Send it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """Send SIGKILL, likewise."""
        self.send_signal(signal.SIGKILL)


class _Template:
    """
    Starts programs.

    Args:
        requests: The other end of a template's socket.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._read = _read_once(os.environ)

    def start(self, program: Program, log: IO[bytes]) -> Process:
        """What `stack.processes.start` does."""
        if not _is_ours(program) or self._read != _read_once(program.environment or os.environ):
            return start(program, log)
        return _Adopted(self._fork(_terms(program), log.fileno()))

    def _fork(self, terms: Mapping[str, Any], output: int) -> int:
        told, telling = os.pipe()
        with os.fdopen(told, "rb", buffering=0) as answer, _adopting():
            socket.send_fds(self._requests, [json.dumps(terms).encode()], [output, telling])
            os.close(telling)
            assert select.select([answer], [], [], _TIMEOUT_S)[0], "the template does not answer"
            said = answer.read(16)
            assert said, "the template has ended"
            return int(said)


def warm_start(program: Program, log: IO[bytes]) -> Process:
    """What `stack.processes.start` does, from a template where *program* is one of ours."""
    return _template().start(program, log) if _is_ours(program) else start(program, log)


def _is_ours(program: Program) -> bool:
    command = program.command
    is_module = len(command) > 2 and list(command[:2]) == [sys.executable, "-m"]
    is_here = program.folder == ROOT and program.user is None
    return is_module and is_here and command[2].partition(".")[0] in _OURS


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith(_READ_ONCE)}


def _terms(program: Program) -> dict[str, Any]:
    umask = os.umask(0)
    os.umask(umask)
    return {
        "module": program.command[2],
        "arguments": list(program.command[3:]),
        "environment": dict(program.environment or os.environ),
        "death_signal": int(program.death_signal),
        "parent": os.getpid(),
        "umask": umask,
    }


@contextmanager
def _adopting() -> Iterator[None]:
    """Meanwhile a descendant whose parent ends becomes a child of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@functools.cache
def _template() -> _Template:
    """This process's own; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return _Template(ours)


def _serve(requests: socket.socket) -> Mapping[str, Any] | None:
    """Answer until the other end is closed: None. In each program forked: what it is to be."""
    while requests.recv(1, socket.MSG_PEEK):
        middle = os.fork()
        if middle == 0:
            # Read here, so that the template keeps nothing of it.
            request, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 2)
            middle = os.getpid()
            if os.fork() == 0:
                requests.close()
                terms: Mapping[str, Any] = json.loads(request)
                _become(terms, middle, *descriptors)
                return terms
            os._exit(0)
        os.waitpid(middle, 0)
    return None


def _become(terms: Mapping[str, Any], middle: int, output: int, telling: int) -> None:
    while os.getppid() == middle:
        time.sleep(0.0005)
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _prctl(PR_SET_PDEATHSIG, terms["death_signal"])
    if os.getppid() != terms["parent"]:
        os._exit(1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.write(telling, str(os.getpid()).encode())
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    os.umask(terms["umask"])
    os.environ.clear()
    os.environ.update(terms["environment"])
    sys.argv = ["", *terms["arguments"]]


def _forked_template() -> _Template:
    """One for this process, whose children its programs become."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        _run_programs(theirs)
        sys.exit()
    theirs.close()
    return _Template(ours)


def _run_programs(requests: socket.socket) -> None:
    """Answer until the other end is closed; in each program forked: run it, and return."""
    terms = _serve(requests)
    if terms is None:
        return
    if terms["module"] == "stack" and terms["arguments"] == ["run"]:
        processes = importlib.import_module("stack.processes")
        processes.Child.start = staticmethod(_forked_template().start)
    runpy.run_module(terms["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    """Import all libraries, and serve."""
    known = _collectors()
    for module in _IMPORTS:
        importlib.import_module(module)
    # What is ours each program imports itself: it has the metrics of its own modules alone.
    for collector in _collectors() - known:
        REGISTRY.unregister(collector)
    for name in [*sys.modules]:
        if name.partition(".")[0] in _OURS:
            del sys.modules[name]
    gc.collect()
    gc.freeze()
    _run_programs(socket.socket(fileno=int(sys.argv[1])))


def _collectors() -> set[Collector]:
    return {*REGISTRY._collector_to_names}  # there is no other list of them


if __name__ == "__main__":
    main()
