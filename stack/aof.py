"""
Valkey's append-only file after a power loss: what was torn off at its end is cut away.

With appendfsync always, Valkey answers a command when it is on disk. So all that was answered is
whole, and what a power loss tears is the end alone: a command that nobody was told of, of which a
part is there, or zeros in its place. Valkey itself cuts off the former and refuses the latter.
Damage anywhere else is none of a power loss, and is left as it is.
"""

import mmap
import os
import time
from pathlib import Path
from typing import NamedTuple

from stack.processes import StackError

_LONGEST_LINE = 64
_LOOKED_AT_BYTES = 32 << 20  # of a long file, its end: what is before was read at the last start
_FIRST_ENTRIES = 16
_LOOKS, _PAUSE_S = 5, 0.1
_ADVICE = "see “Redis lost” in docs/runbook.md"


class _Scan(NamedTuple):
    """
    How far a file is whole.

    Args:
        end: Where its last whole entry ends; an unfinished transaction is none.
        stop: Where reading stopped.
        is_torn: Whether the file ends there; else what stands there is no entry.
    """

    end: int
    stop: int
    is_torn: bool


class _TornError(Exception):
    """The file ends within an entry."""


class _NoEntryError(Exception):
    """What stands here is no entry."""


def mend(folder: Path, thoroughly: bool) -> str | None:
    """
    Cut off what is torn at the end of the append-only file, and keep it beside.

    Args:
        folder: Valkey's data folder; Valkey does not run.
        thoroughly: Look at the whole file, not only at its last byte.

    Returns:
        What was done, as a sentence; None: nothing.

    Raises:
        StackError: The file is damaged elsewhere.
    """
    file = _last_file(folder)
    if file is None or not (size := file.stat().st_size):
        return None
    with file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if text[-1:] == b"\n" and not thoroughly:
            return None
        end = _whole_part(text, file)
        if end == size:
            return None
        kept = file.with_name(f"torn-{time.time_ns()}")
        kept.write_bytes(text[end:])
    os.truncate(file, end)
    _sync(file)
    return (
        f"valkey's {file.name} was torn at its end, as by a power loss: {size - end} bytes of "
        f"commands that were never answered are cut off, and kept in {kept.name}"
    )


def torn_bytes(folder: Path) -> int:
    """
    How much is torn at the end of the append-only file; it is only read, and Valkey may run.

    Raises:
        StackError: The file is damaged before its end.
    """
    file = _last_file(folder)
    if file is None:
        return 0
    whole, torn = _whole_and_torn(file)
    for _ in range(_LOOKS):
        if not torn:
            return 0
        time.sleep(_PAUSE_S)
        before = whole
        whole, torn = _whole_and_torn(file)
        if whole != before:  # it was being written
            return 0
    return torn


def _whole_and_torn(file: Path) -> tuple[int, int]:
    """Where the whole part of *file* ends, and how many bytes follow."""
    with file.open("rb") as stream:
        if not (size := os.fstat(stream.fileno()).st_size):
            return 0, 0
        with mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ) as text:
            end = _whole_part(text, file, _start(text, size))
            return end, size - end


def _start(text: mmap.mmap, size: int) -> int:
    """Where an entry begins from which not too much follows."""
    if size <= _LOOKED_AT_BYTES:
        return 0
    places: list[int] = []
    place = size - _LOOKED_AT_BYTES
    while len(places) < _FIRST_ENTRIES and (place := text.find(b"\r\n*", place) + 2) > 1:
        places.append(place)
    # What a value holds may look like entries, but not for long.
    return max(places, key=lambda one: _scan(text, one, size).end, default=0)


def _last_file(folder: Path) -> Path | None:
    """The file that commands are appended to, by the manifest; earlier ones are never torn."""
    manifest = folder / "appendonlydir" / "appendonly.aof.manifest"
    if not manifest.exists():
        return None
    lines = [line.split() for line in manifest.read_text("utf-8").splitlines()]
    names = [words[1] for words in lines if words[-1:] == ["i"]]
    file = manifest.with_name(names[-1]) if names else manifest
    return file if names and file.exists() else None


def _whole_part(text: mmap.mmap, file: Path, start: int = 0) -> int:
    """Where the whole part of *text* ends; StackError where what follows is not a torn end."""
    scan = _scan(text, start, len(text))
    last = len(text)
    while last > scan.stop and text[last - 1] == 0:  # a power loss leaves zeros, if anything
        last -= 1
    is_torn = scan.is_torn or last == scan.stop or _scan(text, scan.stop, last).is_torn
    if is_torn and not _goes_on(text, scan.stop):
        return scan.end
    raise StackError(
        f"Valkey's {file} is damaged at byte {scan.stop}, and not at its end as by a power loss; "
        f"it was left as it is: {_ADVICE}"
    )


def _goes_on(text: mmap.mmap, stop: int) -> bool:
    """Whether whole entries, up to the file's end, follow somewhere after *stop*."""
    place = stop
    while (place := text.find(b"\r\n*", place + 1)) >= 0:
        scan = _scan(text, place + 2, len(text))
        if scan.stop == len(text):
            return True
    return False


def _scan(text: mmap.mmap, start: int, size: int) -> _Scan:
    end = place = start
    in_transaction = False
    while place < size:
        try:
            after, command = _entry(text, place, size)
        except _TornError:
            return _Scan(end, place, is_torn=True)
        except _NoEntryError:
            return _Scan(end, place, is_torn=False)
        in_transaction = command == b"MULTI" or (in_transaction and command != b"EXEC")
        place = after
        if not in_transaction:
            end = place
    return _Scan(end, place, is_torn=True)


def _entry(text: mmap.mmap, start: int, size: int) -> tuple[int, bytes]:
    """Where the entry at *start* ends, and its command; a note is one without."""
    if text[start] == ord("#"):
        return _line(text, start, size)[0], b""
    place, parts = _number(text, start, size, b"*")
    command = b""
    for part in range(parts):
        place, length = _number(text, place, size, b"$")
        after = place + length
        ending = text[after : min(after + 2, size)]
        if after + 2 > size and b"\r\n".startswith(ending):
            raise _TornError
        if ending != b"\r\n":
            raise _NoEntryError
        if part == 0 and not (command := text[place:after].upper()).isalpha():
            raise _NoEntryError
        place = after + 2
    return place, command


def _number(text: mmap.mmap, start: int, size: int, mark: bytes) -> tuple[int, int]:
    if start >= size:
        raise _TornError
    if text[start : start + 1] != mark:
        raise _NoEntryError
    after, line = _line(text, start, size)
    if not line[1:].isdigit():
        raise _NoEntryError
    return after, int(line[1:])


def _line(text: mmap.mmap, start: int, size: int) -> tuple[int, bytes]:
    """The line at *start*, a mark and a number or a note, and where the next one begins."""
    limit = min(size, start + _LONGEST_LINE)
    end = text.find(b"\r\n", start, limit)
    if end >= 0:
        return end + 2, text[start:end]
    rest = text[start:limit].removesuffix(b"\r")
    if limit == size and (rest[:1] == b"#" or rest[1:].isdigit() or len(rest) == 1):
        raise _TornError
    raise _NoEntryError


def _sync(file: Path) -> None:
    for place in (file, file.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
