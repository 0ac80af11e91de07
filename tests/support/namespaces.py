"""
Network namespaces on a switch of their own: hosts with addresses and ports of their own.

Nothing of the machine's own network is touched, and nothing can leave.
"""

import asyncio
import ctypes
import itertools
import os
import subprocess
import threading
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

    @contextmanager
    def forwarding(self, host: str, port: int, target: int) -> Iterator[None]:
        """Who connects to *port* of *host* gets to its port *target*, as with a Service."""
        loop, ready = asyncio.new_event_loop(), threading.Event()
        place = Path("/run/netns", f"{self.name}-{host}")
        work = threading.Thread(target=_forward, args=(loop, ready, place, port, target))
        work.start()
        try:
            assert ready.wait(10)
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            work.join(10)

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


def _forward(
    loop: asyncio.AbstractEventLoop, ready: threading.Event, place: Path, port: int, target: int
) -> None:
    there = os.open(place, os.O_RDONLY)
    _enter(there)  # this thread alone, and it ends there
    os.close(there)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_pass(reader, inner_writer), _pass(inner_reader, writer))

    loop.run_until_complete(asyncio.start_server(connected, "0.0.0.0", port))
    ready.set()
    loop.run_forever()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
