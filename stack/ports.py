"""Ports: free ones, and those that a stack keeps from start to start."""

import errno
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stack.processes import StackError

# Below the range that the kernel hands to outgoing connections, so that a part which restarts
# finds its port free.
_CANDIDATES = range(20_000, 32_000)
_LOOPBACK = "127.0.0.1"
_given: set[int] = set()
# The files that say which ports are ours; those of the last ones given, as files are few.
_reserved: dict[int, int] = {}
_MOST_RESERVED = 256


def is_free(port: int, address: str = _LOOPBACK) -> bool:
    """Whether a server could listen on *port* of *address*."""
    try:
        _listen(address, port)
    except OSError:
        return False
    return True


def _listen(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        # Bound is not enough: two sockets may share an address until one of them listens.
        probe.listen(1)


def reserve(port: int) -> bool:
    """
    Whether no other stack of this user has chosen *port*; now it is this process's, to its end.

    Between the choice of a port and the start of what listens there, others choose theirs.
    """
    if port in _reserved:
        return True
    folder = Path(tempfile.gettempdir()) / f"kuji-ports-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid != os.getuid():
            return True
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(folder / str(port), flags, 0o600)
    except OSError:
        return True  # nowhere to say so
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return False
    _reserved[port] = file
    if len(_reserved) > _MOST_RESERVED:
        with suppress(OSError):
            os.close(_reserved.pop(next(iter(_reserved))))
    return True


def free_port() -> int:
    """A port that is free now and that this process has not been given before."""
    while True:
        port = random.choice(_CANDIDATES)  # noqa: S311  # no secret
        if _is_ours(port):
            _given.add(port)
            return port


def _is_ours(port: int) -> bool:
    """Whether this process may have it; then nobody else chooses it meanwhile."""
    return port not in _given and reserve(port) and is_free(port)


def edge_address(host: str, port: int) -> str:
    """
    The address that KUJI_EDGE_HOST means, on which KUJI_EDGE_PORT is free.

    Raises:
        StackError: There is none, and why.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StackError(f"KUJI_EDGE_HOST is no address and no known name: {host}") from error
    # A name may have several: the older kind first, which every client speaks.
    address = str(min(found, key=lambda one: one[0] != socket.AF_INET)[4][0])
    try:
        _listen(address, port)
    except OSError as error:
        raise StackError(_why_not(host, port, error)) from error
    return address


def _why_not(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} is taken; set KUJI_EDGE_PORT to a free one"
        case errno.EACCES | errno.EPERM:
            return f"This user may not listen on port {port}; set KUJI_EDGE_PORT to one above 1023"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine; set KUJI_EDGE_HOST to one that is"
    return f"The edge cannot listen on {host}, port {port}: {error.strerror}"


class Ports:
    """
    A port for each part of a stack.

    Args:
        wanted: Those that the operator wants, by name.
        kept: Those of the last start, which are taken again where they are free.
    """

    def __init__(self, wanted: Mapping[str, int], kept: Mapping[str, int]) -> None:
        self._wanted = wanted
        self._kept = kept
        self.chosen: dict[str, int] = {}

    def of(self, name: str) -> int:
        """
        The port of *name*.

        Raises:
            StackError: The one that is wanted is not to be had.
        """
        if name not in self.chosen:
            self.chosen[name] = self._choose(name)
        return self.chosen[name]

    def _choose(self, name: str) -> int:
        if (port := self._wanted.get(name)) is not None:
            if port in _given or not is_free(port):
                raise StackError(f"Port {port}, which KUJI_PORTS names for {name}, is taken")
            reserve(port)  # whoever chooses by himself is to choose another
        elif (port := self._kept.get(name)) is None or not _is_ours(port):
            return free_port()
        _given.add(port)
        return port

    def address_of(self, name: str) -> str:
        """Its host:port, on loopback."""
        return f"{_LOOPBACK}:{self.of(name)}"

    def check_all_known(self) -> None:
        """StackError where a port is wanted for what is no part of the stack."""
        for name in sorted(self._wanted.keys() - self.chosen.keys()):
            known = ", ".join(sorted(self.chosen))
            raise StackError(f"KUJI_PORTS names {name}, which is no part; there are {known}")
