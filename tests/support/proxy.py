"""A TCP proxy whose faults a test orders: held, lost, slow, cut and reset wires."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 1 << 16
_TIME = re.compile(rb"(\*2\r\n\$10\r\n)(\d{10})(\r\n\$\d\r\n)")  # how Redis tells its clock
_NO_LINGER = struct.pack("ii", 1, 0)  # close() resets, whatever was sent


class Proxy:
    """
    Passes bytes between clients and one server.

    Args:
        host: The server's.
        port: The server's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = host, port
        self._requests_pass = asyncio.Event()
        self._replies_pass = asyncio.Event()
        self._is_refusing = False
        self._bytes_per_s = 0
        self._lost = b""
        self._reset = b""
        self._held = b""
        self._clock_shift_s = 0
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.lost_replies = 0
        self.refused = asyncio.Event()
        self.held = asyncio.Event()
        self.port = 0
        self.resume()

    def instead_of(self, url: str) -> str:
        """*url* of the server, by way of this proxy."""
        host, port = self._upstream
        return url.replace(f"@{host}:{port}/", f"@{host}:{self.port}/")

    def lose_reply(self, marker: bytes) -> None:
        """The next request with *marker* in it arrives; its reply does not: the wire is cut."""
        self._lost = marker

    def reset_on(self, marker: bytes) -> None:
        """Requests with *marker* in them do not arrive: the wire is reset, until resume()."""
        self._reset = marker

    def hang(self) -> None:
        """Requests arrive, replies are held, until resume(); connections stay open."""
        self._replies_pass.clear()

    def hang_on(self, marker: bytes) -> None:
        """The same from the next request with *marker* in it."""
        self._held = marker

    def freeze(self) -> None:
        """Nothing passes, as if the server was stopped; connections open and stay open."""
        self._requests_pass.clear()
        self._replies_pass.clear()

    def throttle(self, bytes_per_s: int) -> None:
        """Let no more pass, each way of each connection, until resume()."""
        self._bytes_per_s = bytes_per_s

    def shift_clock(self, seconds: int) -> None:
        """Let Redis tell another time, to whom asks it for that, until resume()."""
        self._clock_shift_s = seconds

    def resume(self) -> None:
        """End every fault."""
        self._is_refusing = False
        self._bytes_per_s = 0
        self._reset = b""
        self._held = b""
        self._clock_shift_s = 0
        self.refused.clear()
        self.held.clear()
        self._requests_pass.set()
        self._replies_pass.set()

    async def refuse(self) -> None:
        """Cut all connections and take no new ones, until resume()."""
        self._is_refusing = True
        await self.cut()

    async def cut(self) -> None:
        """End all connections; new ones are taken."""
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def reset(self) -> None:
        """The same by RST, which takes along what is on its way."""
        for writer in self._links.values():
            _no_linger(writer)
        await self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links[link] = writer
        try:
            if self._is_refusing:
                self.refused.set()
                _no_linger(writer)
                return
            with suppress(OSError):
                await self._pass(reader, writer)
        except asyncio.CancelledError:
            pass  # by cut(), which is how this link ends
        finally:
            self._links.pop(link, None)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._upstream)
        losing = asyncio.Event()
        ways = [
            asyncio.ensure_future(self._requests(reader, forth, writer, losing)),
            asyncio.ensure_future(self._replies(back, writer, losing)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            forth.transport.abort()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        forth: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
        losing: asyncio.Event,
    ) -> None:
        while chunk := await self._read(reader):
            if not self._requests_pass.is_set():
                self.held.set()
            await self._requests_pass.wait()
            if self._reset and self._reset in chunk:
                self.refused.set()
                _no_linger(writer)
                return
            if self._held and self._held in chunk:
                self.hang()
            if self._lost and self._lost in chunk:
                self._lost = b""
                losing.set()
            forth.write(chunk)
            await forth.drain()

    async def _replies(
        self, back: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while chunk := await self._read(back):
            await self._replies_pass.wait()
            if losing.is_set():
                self.lost_replies += 1
                return
            writer.write(self._shifted(chunk))
            await writer.drain()

    def _shifted(self, reply: bytes) -> bytes:
        if not self._clock_shift_s:
            return reply
        return _TIME.sub(
            lambda found: found[1] + b"%010d" % (int(found[2]) + self._clock_shift_s) + found[3],
            reply,
        )

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        if not self._bytes_per_s:
            return await reader.read(_CHUNK)
        chunk = await reader.read(max(1, self._bytes_per_s // 10))
        if self._bytes_per_s:
            await asyncio.sleep(len(chunk) / self._bytes_per_s)
        return chunk


def _no_linger(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # it has gone already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


@asynccontextmanager
async def proxying(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy to *host*:*port* on a port of loopback."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.refuse()
        await server.wait_closed()
