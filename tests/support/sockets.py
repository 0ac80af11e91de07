"""Which TCP connections a process has, by the kernel."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ESTABLISHED = "01"


class Connection(NamedTuple):
    """The ports at both ends."""

    own: int
    other: int


def connections_of(pid: int) -> set[Connection]:
    """The connections that process *pid* has now."""
    own = set(_sockets_of(pid))
    return {
        Connection(_port(fields[1]), _port(fields[2]))
        for table in ("tcp", "tcp6")
        for fields in map(str.split, Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:])
        if fields[3] == _ESTABLISHED and fields[9] in own
    }


def _sockets_of(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _port(place: str) -> int:
    return int(place.rpartition(":")[2], 16)
