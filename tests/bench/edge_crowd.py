"""
The crowd of tests.bench.edge and versions: TOKENS CONNECTIONS ACTIVITY, a process of its own.

Draws from ACTIVITY are each another; 0: those of a scripted one, as long as any.
A line "PORT SECONDS" on stdin has each connection draw, one draw after the other, for so long; the
answer is a line with the draws that were answered and those that failed.
"""

import asyncio
import itertools
import sys
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

_LENGTH = b"content-length: "


class Caller(asyncio.Protocol):
    """One connection, which draws until it is told to end."""

    def __init__(self, requests: "itertools.cycle[bytes]") -> None:
        self._requests = requests
        self._answer = b""
        self._is_over = False
        self.ended = asyncio.get_running_loop().create_future()
        self.answered = self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def end(self) -> None:
        """Draw no more once the answer under way is there."""
        self._is_over = True

    def _ask(self) -> None:
        if self._is_over:
            self._transport.close()
        else:
            self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, blank, body = self._answer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.partition(_LENGTH)[2].partition(b"\r")[0]):
            return
        if head.startswith(b"HTTP/1.1 200") and body.startswith(b'{"status":1,'):
            self.answered += 1
        else:
            self.failed += 1
        self._answer = b""
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


def _request(activity_id: int, number: int, token: str) -> bytes:
    body = f'{{"activity_id":1,"request_id":"edge-1-{1_000_000 + number}"}}'
    if activity_id:
        body = f'{{"activity_id":{activity_id}}}'
    lines = [
        "POST /api/lottery/draw HTTP/1.1",
        "host: kuji",
        "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "accept: application/json",
        "accept-encoding: gzip, deflate, br, zstd",
        "accept-language: en-US,en;q=0.5",
        "content-type: application/json",
        f"authorization: Bearer {token}",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()


async def _draw(
    port: int, seconds: float, connections: int, requests: "itertools.cycle[bytes]"
) -> tuple[int, int]:
    loop = asyncio.get_running_loop()
    made = partial(Caller, requests)
    opened = [await loop.create_connection(made, "127.0.0.1", port) for _ in range(connections)]
    callers = [caller for _, caller in opened]
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.end()
    async with asyncio.timeout(20):
        await asyncio.gather(*(caller.ended for caller in callers))
    return sum(c.answered for c in callers), sum(c.failed for c in callers)


async def _main(tokens: list[str], connections: int, activity_id: int) -> None:
    requests = itertools.cycle([_request(activity_id, *one) for one in enumerate(tokens)])
    while line := await asyncio.to_thread(sys.stdin.readline):
        port, seconds = line.split()
        print(*await _draw(int(port), float(seconds), connections, requests), flush=True)


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1]).read_text().splitlines(), *map(int, sys.argv[2:])))
