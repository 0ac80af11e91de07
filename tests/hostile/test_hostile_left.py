"""Draws whose callers leave, at the edge: others share its connection to the draw process."""

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from tests.hostile.honest import honest_client
from tests.hostile.raw_http2 import RawHttp2
from tests.hostile.target import Target

_PATH = "/api/lottery/draw"
_AT_ONCE = 50
_LEFT = 150
_HONEST_CALLS = 3
_GROWTH_BYTES = 16 << 20
_LINE = 'kuji_rpc_calls_total{method="Draw",reason="CALLER_LEFT"} '


async def _left(target: Target) -> int:
    """Draws whose caller had left before the draw process answered, so far."""
    page = await target.http.get(target.stack.endpoints["metrics"]["draw"])
    found = [line for line in page.text.splitlines() if line.startswith(_LINE)]
    return int(float(found[0].removeprefix(_LINE))) if found else 0


async def _reset(target: Target) -> None:
    """Begin draws over one connection; reset all of them when the first is answered."""
    body = json.dumps({"activity_id": target.activity_id}).encode()
    token = [("authorization", f"Bearer {target.tokens['user']}")]
    connection = await RawHttp2.connected(urlsplit(target.stack.edge).netloc, _PATH, token, body)
    streams = [connection.begin() for _ in range(_AT_ONCE)]
    for stream in streams:
        connection.send(stream)
    while not connection.ended:
        await connection.comes_on()
    for stream in streams:
        connection.reset(stream)
    connection.drop()


async def _hang_up(target: Target) -> None:
    """Draw over connections of their own; cut all of them when the first is answered."""
    headers = {"authorization": f"Bearer {target.tokens['user']}"}
    limits = httpx.Limits(max_connections=_AT_ONCE)
    async with httpx.AsyncClient(base_url=target.stack.edge, timeout=60, limits=limits) as http:
        body = {"activity_id": target.activity_id}
        draws = [
            asyncio.ensure_future(http.post(_PATH, json=body, headers=headers))
            for _ in range(_AT_ONCE)
        ]
        await asyncio.wait(draws, return_when=asyncio.FIRST_COMPLETED)
        for draw in draws:
            draw.cancel()
        for draw in draws:
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await draw


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
