"""What strangers do to a stack, each for a moment: floods, slow wires, oversize, noise."""

import asyncio
import gzip
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
from kuji.auth.v1 import auth_pb2

from tests.hostile.target import Target

Attack = Callable[[Target], Awaitable[Counter[str]]]

_ELSEWHERE = "127.0.0.66"  # not the honest client's address
_AT_ONCE = 32
_MANY = 64
_COMBINING = "a" + "\u0301" * 30_000
_AUTH = auth_pb2.DESCRIPTOR.services_by_name["AuthService"].methods_by_name
_names = itertools.count(1)


async def _all_told(calls: Iterable[Awaitable[str]]) -> Counter[str]:
    return Counter(await asyncio.gather(*calls))


def _client(target: Target) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(
        local_address=_ELSEWHERE, limits=httpx.Limits(max_connections=_AT_ONCE)
    )
    timeout = httpx.Timeout(60, pool=None)
    return httpx.AsyncClient(base_url=target.stack.edge, timeout=timeout, transport=transport)


async def _json_told(http: httpx.AsyncClient, method: str, path: str, **options: Any) -> str:
    response = await http.request(method, path, **options)
    try:
        envelope = response.json()
    except ValueError:
        return f"bare {response.status_code}"
    return str(envelope.get("reason") or "OK")


async def wrong_passwords(target: Target) -> Counter[str]:
    """Many guesses at once, at accounts that are there and that are not."""
    async with _client(target) as http:
        return await _all_told(
            _json_told(
                http,
                "POST",
                "/api/auth/login",
                json={"username": f"alice-{number % 7}", "password": "wrong horse"},
            )
            for number in range(_MANY)
        )


async def combining_marks(target: Target) -> Counter[str]:
    """Passwords that cost much to normalize, by both doors."""
    request = auth_pb2.LoginRequest(username="alice", password=_COMBINING)
    async with _client(target) as http:
        body = {"username": "alice", "password": _COMBINING}
        over_json = [_json_told(http, "POST", "/api/auth/login", json=body) for _ in range(32)]
        return await _all_told(
            [*over_json, *(target.told(_AUTH["Login"], request) for _ in range(32))]
        )


async def guessed_service_secrets(target: Target) -> Counter[str]:
    """Guesses at what services show."""
    guesses = (
        auth_pb2.IssueServiceTokenRequest(service="shop", secret=f"guess-{number}")
        for number in range(_MANY)
    )
    return await _all_told(target.told(_AUTH["IssueServiceToken"], guess) for guess in guesses)


async def pages(target: Target) -> Counter[str]:
    """Public lists, each page once."""
    async with _client(target) as http:
        return await _all_told(
            _json_told(http, "GET", f"/api/lottery/global-history?page={next(_names)}")
            for _ in range(_MANY)
        )


async def oversize(target: Target) -> Counter[str]:
    """Bodies and headers larger than any honest one, and nested deeper."""
    bodies = (b" " * (1 << 20), b"[" * 60_000, b'{"a":' * 10_000, json.dumps("x" * 65_000).encode())
    async with _client(target) as http:
        token = {"authorization": f"Bearer {target.tokens['user']}"}
        typed = token | {"content-type": "application/json"}
        return await _all_told(
            [
                *(
                    _json_told(http, "POST", "/api/lottery/draw", content=body, headers=typed)
                    for body in bodies * 8
                ),
                *(
                    _json_told(http, "GET", "/api/lottery/prizes", headers={"x-long": "y" * 20_000})
                    for _ in range(32)
                ),
            ]
        )


async def bad_tokens(target: Target) -> Counter[str]:
    """Draws with tokens that nobody issued, each another one."""
    head, claims, _ = target.tokens["user"].split(".")
    async with _client(target) as http:
        return await _all_told(
            _json_told(
                http,
                "POST",
                "/api/lottery/draw",
                json={"activity_id": target.activity_id},
                headers={"authorization": f"Bearer {head}.{claims}.{next(_names):086d}"},
            )
            for _ in range(_MANY)
        )


async def unknown_pools(target: Target) -> Counter[str]:
    """Draws from activities that nobody made, each another one."""
    async with _client(target) as http:
        return await _all_told(
            _json_told(
                http,
                "POST",
                "/api/lottery/draw",
                json={"activity_id": 10_000_000 + next(_names)},
                headers={"authorization": f"Bearer {target.tokens['user']}"},
            )
            for _ in range(_MANY)
        )


async def half_requests(target: Target) -> Counter[str]:
    """Connections that send half of a request, and then nothing."""
    at = urlsplit(target.stack.edge)
    held = []
    try:
        for number in range(_MANY):
            _, writer = await asyncio.open_connection(
                at.hostname, at.port, local_addr=(_ELSEWHERE, 0)
            )
            held.append(writer)
            half = b"POST /api/auth/login HTTP/1.1\r\nhost: kuji\r\n"
            writer.write(half if number % 2 else half + b"content-length: 5000\r\n\r\n{")
            await writer.drain()
        await asyncio.sleep(0)
    finally:
        for writer in held:
            writer.transport.abort()
    return Counter(held=len(held))


async def noise(target: Target) -> Counter[str]:
    """Bytes that are no protocol, at every port."""
    at = urlsplit(target.stack.edge)
    addresses = [f"{at.hostname}:{at.port}", *target.stack.grpc.values()]
    return await _all_told(_shout(address) for address in addresses * 20)


async def _shout(address: str) -> str:
    """The wire is cut, or nothing is said for a moment."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with suppress(OSError):  # TimeoutError is one
        writer.write(bytes(range(256)) * 64)
        await asyncio.wait_for(reader.read(), 2)
    writer.transport.abort()
    return "heard"


async def bombs(target: Target) -> Counter[str]:
    """Little that unpacks to much: by gRPC, and as a body for the edge."""
    channel: Any = target.channels["draw"]
    zeros = b"\0" * (64 << 20)

    async def by_grpc() -> str:
        call = channel.unary_unary("/kuji.draw.v1.DrawService/VerifyDraw")
        try:
            await call(zeros, timeout=20, compression=grpc.Compression.Gzip)
        except grpc.aio.AioRpcError as error:
            # The transport itself refuses what is too long, before there is anybody to say why.
            return "RESOURCE_EXHAUSTED" if error.code().value[0] == 8 else f"bare {error.code()}"
        return "OK"

    packed = {"content-encoding": "gzip", "content-type": "application/json"}
    async with _client(target) as http:
        body = gzip.compress(b" " * (16 << 20))
        over_json = [
            _json_told(http, "POST", "/api/auth/login", content=body, headers=packed)
            for _ in range(8)
        ]
        return await _all_told([*over_json, *(by_grpc() for _ in range(2))])


ATTACKS: tuple[Attack, ...] = (
    wrong_passwords,
    combining_marks,
    guessed_service_secrets,
    pages,
    oversize,
    bad_tokens,
    unknown_pools,
    half_requests,
    noise,
    bombs,
)
