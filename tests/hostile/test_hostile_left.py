"""Draws whose callers leave, at the edge: others share its connection to the draw process."""

import asyncio
import json
from urllib.parse import urlsplit

from tests.hostile.honest import honest_client
from tests.hostile.raw_http2 import RawHttp2
from tests.hostile.target import Target

_PATH = "/api/lottery/draw"
_AT_ONCE = 50
_LEFT = 20
_HONEST_CALLS = 3
_GROWTH_BYTES = 16 << 20
_LINE = 'kuji_rpc_calls_total{method="Draw",reason="CALLER_LEFT"} '


async def _left(target: Target) -> int:
    """Draws whose caller had left before the draw process answered, so far."""
    page = await target.http.get(target.stack.endpoints["metrics"]["draw"])
    found = [line for line in page.text.splitlines() if line.startswith(_LINE)]
    return int(float(found[0].removeprefix(_LINE))) if found else 0


def _draw(target: Target) -> tuple[bytes, tuple[str, str]]:
    """Its body, and its token's header."""
    body = json.dumps({"activity_id": target.activity_id}).encode()
    return body, ("authorization", f"Bearer {target.tokens['user']}")


async def _reset(target: Target) -> None:
    """Begin draws over one connection; reset some at once, the others when one is answered."""
    body, token = _draw(target)
    connection = await RawHttp2.connected(urlsplit(target.stack.edge).netloc, _PATH, [token], body)
    streams = [connection.begin() for _ in range(_AT_ONCE)]
    for stream in streams:
        connection.send(stream)
        if stream % 4 == 1:
            connection.reset(stream)
    while not connection.ended:
        await connection.comes_on()
    for stream in streams:
        connection.reset(stream)
    connection.drop()


async def _hang_up(target: Target) -> None:
    """The same over connections of their own, which are cut."""
    body, token = _draw(target)
    at = urlsplit(target.stack.edge)
    head = f"POST {_PATH} HTTP/1.1\r\nhost: kuji\r\ncontent-length: {len(body)}\r\n"
    request = f"{head}{': '.join(token)}\r\n\r\n".encode() + body
    opened = await asyncio.gather(
        *[asyncio.open_connection(at.hostname, at.port) for _ in range(_AT_ONCE)]
    )
    for _, writer in opened:
        writer.write(request)
    answers = [asyncio.ensure_future(reader.read(1)) for reader, _ in opened]
    for _, writer in opened[::2]:
        writer.transport.abort()
    await asyncio.wait(answers[1::2], return_when=asyncio.FIRST_COMPLETED)
    for _, writer in opened:
        writer.transport.abort()
    await asyncio.gather(*answers, return_exceptions=True)


async def _leave(target: Target) -> None:
    """By either way, until the draw process has seen enough callers leave."""
    for leave in (_reset, _hang_up):
        before = await _left(target)
        while await _left(target) < before + _LEFT:
            await leave(target)


async def test_honest_client_is_answered_whoever_leaves_his_draws(target: Target) -> None:
    """Each of its calls; nothing is kept of those who left."""
    async with honest_client(target) as honest:
        await honest.goes_through("1 before", _HONEST_CALLS)
        honest.enter("2 during")
        await _leave(target)
        memory = target.memory()
        await _leave(target)
        await honest.goes_through("3 after", _HONEST_CALLS)
    print(honest.sentence())
    assert [] == honest.refused
    after = target.memory()
    assert {} == {
        name: size - memory[name]
        for name, size in after.items()
        if size - memory[name] > _GROWTH_BYTES
    }
