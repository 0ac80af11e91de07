"""A TCP proxy whose faults a test orders: held replies, lost replies, no connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 1 << 16


class Proxy:
    """
    Passes bytes between clients and one server.

    Args:
        host: The server's.
        port: The server's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = host, port
        self._open_gate = asyncio.Event()
        self._open_gate.set()
        self._is_refusing = False
        self._marker = b""
        self._links: set[asyncio.Task[None]] = set()
        self.lost_replies = 0
        self.port = 0

    def instead_of(self, url: str) -> str:
        """*url* of the server, by way of this proxy."""
        host, port = self._upstream
        return url.replace(f"@{host}:{port}/", f"@{host}:{self.port}/")

    def lose_reply(self, marker: bytes) -> None:
        """The next request with *marker* in it arrives; its reply does not: the wire is cut."""
        self._marker = marker

    def hang(self) -> None:
        """Requests arrive, replies are held, until resume(); connections stay open."""
        self._open_gate.clear()

    def resume(self) -> None:
        """End hang() and refuse()."""
        self._is_refusing = False
        self._open_gate.set()

    async def refuse(self) -> None:
        """Cut all connections and take no new ones, until resume()."""
        self._is_refusing = True
        await self._cut()

    async def _cut(self) -> None:
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            if not self._is_refusing:
                with suppress(OSError):
                    await self._pass(reader, writer)
        except asyncio.CancelledError:
            pass  # by _cut(), which is how this link ends
        finally:
            self._links.discard(link)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._upstream)
        losing = asyncio.Event()
        ways = [
            asyncio.ensure_future(self._requests(reader, forth, losing)),
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
        self, reader: asyncio.StreamReader, forth: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if self._marker and self._marker in chunk:
                self._marker = b""
                losing.set()
            forth.write(chunk)
            await forth.drain()

    async def _replies(
        self, back: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while chunk := await back.read(_CHUNK):
            await self._open_gate.wait()
            if losing.is_set():
                self.lost_replies += 1
                return
            writer.write(chunk)
            await writer.drain()


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
