"""
A container's process: python -m services PART runs that part; all else is a `kuji` command.

It becomes what it runs: one process, which gets the signals itself.
"""

import os
import runpy
import sys
from collections.abc import Sequence

PARTS = ("auth", "draw", "admin", "history", "recorder")


def command_of(arguments: Sequence[str]) -> list[str] | None:
    """The `kuji` command line that *arguments* ask for; None where they name a part."""
    if len(arguments) == 1 and arguments[0] in PARTS:
        return None
    return [sys.executable, "-m", "ops.cli", *arguments]


def main() -> None:
    """Run what the command line asks for."""
    arguments = sys.argv[1:]
    command = command_of(arguments)
    if command is not None:
        os.execv(command[0], command)  # noqa: S606  # no shell is wanted
    sys.argv[1:] = []
    runpy.run_module(f"services.{arguments[0]}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
