"""What strangers do to the port of a draw process, beside honest callers of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
from kuji.draw.v1 import draw_pb2

from tests.hostile.raw_http2 import RawHttp2, framed
from tests.support.draw_service import element

# As many draws as are made at last; and as much of everything else as goes with that.
IS_FULL = "KUJI_FRONT_CALLS" in os.environ
CALLS = int(os.environ.get("KUJI_FRONT_CALLS", "3000"))

METHOD = "/kuji.draw.v1.DrawService/Draw"
_STREAM = "/kuji.draw.v1.DrawService/DrawStream"
_MANY = 100_000 if IS_FULL else 300
_CONNECTIONS = 5000 if IS_FULL else 50
_BODY_BYTES = (256 << 20) if IS_FULL else (16 << 20)
_WAVE = 200
_SOON_S = 60


@dataclass(frozen=True)
class Ground:
    """
    Where they are.

    Args:
        address: host:port of the draw process.
        channel: A connection that an honest caller uses as well, as the edge's are.
        metadata: A good token.
        of_service: Another, a service's.
        activity_id: What they draw from.
    """

    address: str
    channel: Any
    metadata: Sequence[tuple[str, str]]
    of_service: Sequence[tuple[str, str]]
    activity_id: int

    @property
    def request(self) -> bytes:
        """A good one."""
        return draw_pb2.DrawRequest(activity_id=self.activity_id).SerializeToString()

    async def raw(self, method: str = METHOD, *window: int) -> RawHttp2:
        """A connection that calls *method* as nobody should."""
        body = framed(self.request)
        return await RawHttp2.connected(self.address, method, self.metadata, body, *window)

    def draw(self, **options: Any) -> Any:
        """A call over the shared connection."""
        call = self.channel.unary_unary(METHOD)
        return call(options.pop("message", self.request), metadata=self.metadata, **options)


Attack = Callable[[Ground], Awaitable[None]]


async def _ends(call: Any) -> None:
    with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
        await call


async def cancelled_calls(ground: Ground) -> None:
    """Over the shared connection: at once, and at any later turn of the loop."""
    for wave in range(0, _MANY, _WAVE):
        calls = [ground.draw() for _ in range(min(_WAVE, _MANY - wave))]
        for number, call in enumerate(calls):
            if number % 4 == 0:
                await asyncio.sleep(0)
            call.cancel()
        await asyncio.gather(*map(_ends, calls))


async def resets(ground: Ground) -> None:
    """Begun and reset in one breath, over one connection after the other."""
    left = _MANY
    while left > 0:
        connection = await ground.raw()
        before = left
        while left > 0 and not connection.is_lost:
            for _ in range(min(_WAVE, left)):
                connection.reset(connection.begin())
                left -= 1
            await asyncio.sleep(0.01)  # its side of the wire is read, and others' calls go on
        connection.drop()
        assert left < before


async def halves(ground: Ground) -> None:
    """Calls that never come to their message, and a connection that vanishes with them."""
    connection = await ground.raw()
    for _ in range(400):  # more than the front asks for ahead
        connection.begin()
    await asyncio.sleep(0.2)
    await asyncio.wait_for(ground.draw(), _SOON_S)
    connection.drop()


async def shut_windows(ground: Ground) -> None:
    """Whole calls whose answers nobody takes."""
    connection = await ground.raw(METHOD, 0)
    for _ in range(500):
        connection.send(connection.begin())
    await asyncio.sleep(0.2)
    await asyncio.wait_for(ground.draw(), _SOON_S)
    connection.drop()


async def unread_stream(ground: Ground) -> None:
    """A stream of draws that is written to, and never read."""
    (await _unread(ground)).cancel()


async def _unread(ground: Ground) -> Any:
    stream = ground.channel.stream_stream(_STREAM)(metadata=ground.of_service)
    draw = element(ground.activity_id, 1, "unread")
    message = draw_pb2.DrawStreamRequest(draw=draw).SerializeToString()
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            for _ in range(20_000):
                await stream.write(message)
    return stream


@asynccontextmanager
async def hold(ground: Ground) -> AsyncIterator[None]:
    """Calls that never come to their message, answers that nobody takes, a stream not read."""
    halves, shut = await ground.raw(), await ground.raw(METHOD, 0)
    stream = await _unread(ground)
    for _ in range(400):
        halves.begin()
        shut.send(shut.begin())
    await asyncio.wait_for(ground.draw(), _SOON_S)
    yield
    stream.cancel()
    halves.drop()
    shut.drop()


async def long_headers(ground: Ground) -> None:
    """Eighty of them, of 500 bytes each."""
    headers = [(f"x-{number}", "v" * 500) for number in range(80)]
    call = ground.channel.unary_unary(METHOD)
    await asyncio.gather(*[_ends(call(b"", metadata=headers, timeout=_SOON_S)) for _ in range(20)])


async def large_bodies(ground: Ground) -> None:
    """Far beyond the bound, as they are and packed small."""
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(ground.address, options=options) as channel:
        call: Any = channel.unary_unary(METHOD)  # type: ignore[call-arg]  # bytes as they are
        for compression in (None, grpc.Compression.Gzip):
            await _ends(call(b"\0" * _BODY_BYTES, compression=compression, timeout=4 * _SOON_S))
    await _ends(ground.draw(message=b"\0" * (16 << 20), timeout=_SOON_S))


async def connections(ground: Ground) -> None:
    """Many at once: some idle, some in a call, all gone without a word."""
    for _ in range(2):
        opened = await asyncio.gather(*[ground.raw() for _ in range(_CONNECTIONS)])
        for connection in opened[::3]:
            connection.send(connection.begin())
        for connection in opened[1::3]:
            connection.begin()
        await asyncio.wait_for(ground.draw(), _SOON_S)
        for connection in opened:
            connection.drop()


async def deadlines(ground: Ground) -> None:
    """Of 1 to 60 ms."""
    for wave in range(0, max(_MANY // 10, 120), _WAVE // 2):
        numbers = range(wave, wave + _WAVE // 2)
        calls = [ground.draw(timeout=(1 + number % 60) / 1000) for number in numbers]
        await asyncio.gather(*map(_ends, calls))


async def pings(ground: Ground) -> None:
    """More than anybody needs, with and without a call beside them."""
    connection = await ground.raw()
    connection.begin()
    for _ in range(1000):
        if connection.is_lost:
            break
        connection.ping()
        await asyncio.sleep(0)
    connection.drop()


async def unknown_methods(ground: Ground) -> None:
    """Each another one, so that nothing is remembered of them."""
    calls = [
        ground.channel.unary_unary(f"{METHOD}{number}")(b"", timeout=_SOON_S)
        for number in range(_WAVE)
    ]
    await asyncio.gather(*map(_ends, calls))


ATTACKS: tuple[Attack, ...] = (
    cancelled_calls,
    resets,
    halves,
    shut_windows,
    unread_stream,
    long_headers,
    large_bodies,
    connections,
    deadlines,
    pings,
    unknown_methods,
)
