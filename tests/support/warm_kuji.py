"""
Forks the `kuji` command off a process that has imported it already, which else takes a second.

Usage: python -m tests.support.warm_kuji FD, where FD is a socket. A request there is a JSON object
of arguments and environment, and three descriptors: stdout, stderr, and a pipe that gets the
command's process id and, once it has ended, how (as os.waitstatus_to_exitcode says).
"""

import json
import os
import signal
import socket
import sys

import ops.cli
from ops import terminal

REQUEST_BYTES = 1 << 20


def serve(requests: socket.socket) -> None:
    """Answer requests until the other end is closed."""
    for name in ops.cli.COMMANDS:
        ops.cli.command(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who reports an end is waited for by nobody
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 3)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            _report(json.loads(request), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _report(request: dict[str, object], out: int, err: int, told: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(told)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, max(out, err) + 1)
        _run(**request)  # type: ignore[arg-type]
    os.write(told, f"{pid}\n".encode())
    os.close(out)
    os.close(err)
    os.write(told, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
    os._exit(0)


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for console in (terminal.out, terminal.err):
        console.width = int(environment["COLUMNS"])  # read from there when it is made
    sys.argv = ["kuji", *arguments]
    code = 1
    try:
        ops.cli.main()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001  # as the interpreter does
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as served:
        serve(served)
