"""What the stack tells its operator: on a terminal, or as lines of a log."""

import io
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.text import Text

_STYLES = {"✓": "green", "!": "yellow", "✗": "red"}


def spell_out_what_cannot_be_shown() -> None:
    """A terminal that knows few signs gets others in their place, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


class Reporter:
    """
    Says things; never fails for want of a place to say them.

    A disk may be full, a terminal gone: that is no reason for a stack to end.
    """

    def __init__(self) -> None:
        spell_out_what_cannot_be_shown()
        self._console = Console(highlight=False)
        self._is_log = False

    def __call__(self, line: str) -> None:
        """Say *line*; its first sign says of which kind it is."""
        text = Text(line)
        text.stylize(_STYLES.get(line[:1], ""), 0, 1)
        with suppress(OSError):
            if self._is_log:
                _log(line)
            else:
                self._console.print(text, soft_wrap=True)

    def show(self, what: RenderableType) -> None:
        """Show *what* to a reader."""
        with suppress(OSError):
            self._console.print(what)

    def become_log(self) -> None:
        """From now on stdout is a log: plain lines with times."""
        self._is_log = True


def _log(line: str) -> None:
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # Unbuffered: what a full disk refused is not tried again.
    os.write(sys.stdout.fileno(), f"{stamp} {line}\n".encode())
