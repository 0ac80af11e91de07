"""
The logs of the parts, kept small while the parts run.

Parts write into a file that they inherit, and keep open: Envoy, Valkey and Postgres like the
services, tracebacks and last words included. All append, so a log can be cut under them: what is in
it is copied beside it, and the file goes on from its beginning. A line that comes in the instant
between is lost.
"""

import asyncio
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

_LOOK_EVERY_S = 1.0
_OLD = ".old.log"
_NEW = ".old.new"


async def keep_small(folder: Path, max_bytes: int) -> None:
    """Cut each log in *folder* that gets larger than *max_bytes*, for ever; 0: none."""
    if not max_bytes:
        return
    over = threading.Event()
    try:
        await asyncio.to_thread(_keep_small, folder, max_bytes, over)
    finally:
        over.set()


def _keep_small(folder: Path, max_bytes: int, over: threading.Event) -> None:
    # In a thread of its own: a disk in trouble holds nobody else up, and no loop wakes for a look.
    while not over.wait(_LOOK_EVERY_S):
        cut_large(folder, max_bytes)


def cut_large(folder: Path, max_bytes: int) -> None:
    """Cut each log in *folder* that is larger than *max_bytes*."""
    for log in folder.glob("*.log"):
        with suppress(OSError):  # a disk in trouble: it is tried again, and others are not to wait
            if not log.name.endswith(_OLD) and log.stat().st_size > max_bytes:
                cut(log)


def cut(log: Path) -> None:
    """
    Put what is in *log* into a file beside it, in place of what was put there before, and empty it.

    Where there is no room for both, the older goes first; where there is none at all, *log* is
    emptied all the same: that it stays small is what the disk needs then.
    """
    old, fresh = log.with_suffix(_OLD), log.with_suffix(_NEW)
    with log.open("rb+") as source:
        try:
            _copy(source.fileno(), fresh)
        except OSError:
            old.unlink(missing_ok=True)
            with suppress(OSError):
                _copy(source.fileno(), fresh)
        source.truncate(0)
    with suppress(FileNotFoundError):
        fresh.replace(old)


def _copy(source: int, target: Path) -> None:
    """All of *source* into *target*, or no *target*."""
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.lseek(source, 0, os.SEEK_SET)
            with os.fdopen(os.dup(source), "rb") as reader:
                shutil.copyfileobj(reader, stream, 1 << 20)
    except OSError:
        target.unlink(missing_ok=True)
        raise
