"""
Runs a program that dies with the process that started it, in whatever way that dies (Linux).

Usage: tether.py SIGNAL PARENT USER COMMAND…, where USER is an id, or "-" for the present one.

The program leaves no core file, since its memory holds secrets, and gains no rights by any program
that it starts. A program of its own rather than a preexec_fn, which is not safe in a process with
threads.
"""

import ctypes
import os
import resource
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


def main() -> None:
    """Become USER, ask the kernel for SIGNAL on PARENT's death, then become COMMAND."""
    signal_number, parent, user, *command = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))  # takes back what was asked of the kernel before
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        prctl(PR_SET_PDEATHSIG, int(signal_number))
        if os.getppid() != int(parent):
            sys.exit("the process that asked for this one is gone")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
