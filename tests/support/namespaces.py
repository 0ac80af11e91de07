"""
Network namespaces on a switch of their own: hosts with addresses and ports of their own.

Nothing of the machine's own network is touched, and nothing can leave.
"""

import ctypes
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_NETWORK = "10.77.0"
_BRIDGE = "switch"


class Switch:
    """
    A namespace with a bridge, to which the others are plugged in.

    Args:
        name: Unique on this machine; short.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = f"{_NETWORK}.1"
        self._hosts: list[str] = []
        self._numbers = itertools.count(2)
        self._make(name)
        _ip("-n", name, "link", "add", _BRIDGE, "type", "bridge")
        _ip("-n", name, "address", "add", f"{self.address}/24", "dev", _BRIDGE)
        _ip("-n", name, "link", "set", _BRIDGE, "up")

    def _make(self, name: str) -> None:
        _ip("netns", "add", name)
        self._hosts.append(name)
        _ip("-n", name, "link", "set", "lo", "up")

    def add(self, host: str) -> tuple[Path, str]:
        """A namespace for *host*, plugged in: its file, and its address."""
        number = next(self._numbers)
        name, address = f"{self.name}-{host}", f"{_NETWORK}.{number}"
        self._make(name)
        port = f"port{number}"
        ends = ("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", self.name, *ends)
        _ip("-n", self.name, "link", "set", port, "master", _BRIDGE, "up")
        _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        return Path("/run/netns", name), address

    def answer_to(self) -> str:
        """One more address of the switch itself."""
        address = f"{_NETWORK}.{next(self._numbers)}"
        _ip("-n", self.name, "address", "add", f"{address}/24", "dev", _BRIDGE)
        return address

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread connects to, listens on and starts within the block, it does there."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(here)
            os.close(here)
            os.close(there)

    def remove(self) -> None:
        """Remove all of them."""
        for name in reversed(self._hosts):
            _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=30)


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
