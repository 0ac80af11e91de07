"""
Marks in files of this machine: each draw process has one, and writes it before it answers.

A file has two places of 32 bytes for each pool, written in turns, so that a torn write leaves the
mark before. Marks only grow: of all that is legible, the highest counts.
"""

import fcntl
import os
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

from services.pool.marks.mark import Mark

_PLACE = struct.Struct("<QQQ")  # pool id, seq, clock_us
_CHECK = struct.Struct("<I4x")  # CRC-32 of these
_BYTES = _PLACE.size + _CHECK.size
_ROOM = 64 * 1024  # made at once, so that a mark needs no space of the disk
_ID = "id"


class MarkFile:
    """
    The file of this process; locked while it is open.

    Raises:
        BlockingIOError: Another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise
        self._newest: dict[int, tuple[Mark, int]] = {}  # pool id → its mark, and where that is
        self._end = 0
        for place, pool_id, mark in _legible(path.read_bytes()):
            self._end = max(self._end, place // 2 + 1)
            known, _ = self._newest.get(pool_id, (Mark(), 0))
            if known != known.raised(mark):
                self._newest[pool_id] = mark, place

    def write(self, marks: Mapping[int, Mark]) -> None:
        """
        Write *marks*, and return once they are on the disk.

        Where that fails, they are written again to the same places: what the disk has of a pool
        for certain is never written over.
        """
        written, end = {}, self._end
        for pool_id, mark in marks.items():
            if pool_id in self._newest:
                place = self._newest[pool_id][1] ^ 1
            else:
                place, end = 2 * end, end + 1
            body = _PLACE.pack(pool_id, *mark)
            self._make_room((place + 1) * _BYTES)
            os.pwrite(self._file, body + _CHECK.pack(zlib.crc32(body)), place * _BYTES)
            written[pool_id] = mark, place
        os.fdatasync(self._file)
        self._newest |= written
        self._end = end

    def _make_room(self, size: int) -> None:
        if os.fstat(self._file).st_size < size:
            os.posix_fallocate(self._file, 0, -(-size // _ROOM) * _ROOM)

    def close(self) -> None:
        """Leave it to others."""
        os.close(self._file)


class MarkFolder:
    """
    The files of all draw processes that use one store.

    Args:
        path: On one machine, and kept as long as the store's data. Made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder_id = self._own_id()

    def _own_id(self) -> str:
        """Which folder it is: one that was lost and made anew is another."""
        file = self._path / _ID
        if not file.exists():
            fresh = self._path / f"{_ID}.{os.getpid()}"
            fresh.write_text(uuid.uuid4().hex)
            _sync(fresh)
            with suppress(FileExistsError):  # another process was faster
                os.link(fresh, file)
            fresh.unlink()
            _sync(self._path)
        return file.read_text().strip()

    def claim(self) -> MarkFile:
        """A file that no other process has."""
        for number in count(1):
            try:
                file = MarkFile(self._path / f"{number}.marks")
            except BlockingIOError:
                continue
            _sync(self._path)
            return file
        raise AssertionError

    def read(self) -> dict[int, Mark]:
        """What all processes have written, those that are gone included."""
        marks: dict[int, Mark] = {}
        for file in self._path.glob("*.marks"):
            for _, pool_id, mark in _legible(file.read_bytes()):
                marks[pool_id] = mark.raised(marks.get(pool_id, Mark()))
        return marks


def _legible(content: bytes) -> Iterator[tuple[int, int, Mark]]:
    """Place, pool id and mark of each place that is whole."""
    for place, at in enumerate(range(0, len(content) - _BYTES + 1, _BYTES)):
        body = content[at : at + _PLACE.size]
        (check,) = _CHECK.unpack_from(content, at + _PLACE.size)
        if check == zlib.crc32(body):
            pool_id, seq, clock_us = _PLACE.unpack(body)
            yield place, pool_id, Mark(seq, clock_us)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
