"""
python -m tests.bench.listeners: the winners' stream under many listeners, through Envoy.

Says how late events are, and how long an honest reader of the winner list waits meanwhile.
"""

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import asyncpg
import httpx
import typer
from redis.asyncio import Redis

from services.common.migrate import migrate
from stack import databases, servers
from stack.ports import free_port
from stack.processes import Child, Probe, Program, stop
from tests.contract.edge_rig import Rig, running_rig
from tests.support.history_process import history_process
from tests.support.winners import record_wins

STREAM = "/api/lottery/global-history/stream"
LIST = "/api/lottery/global-history"
PATIENCE_S = 60.0
_WON_AT = re.compile(rb'"won_at":"([^"]+)"')
_CONNECTING_AT_ONCE = 100
_WAITS_AT_LEAST = 50  # of the reader, so that there is a p99


@dataclass(frozen=True)
class Figures:
    """
    What was measured.

    Args:
        asked: Listeners that came.
        opened: Those of them that were let in.
        wins: Recorded while they listened.
        heard: Events that came in time, over all listeners.
        late_s: How late they were: p50, p99.
        quiet_s: How long the reader waited before anybody listened: p50, p99.
        crowded_s: The same from the first listener on.
    """

    asked: int
    opened: int
    wins: int
    heard: int
    late_s: tuple[float, float]
    quiet_s: tuple[float, float]
    crowded_s: tuple[float, float]


class _Listener(asyncio.Protocol):
    """One connection; notes how late each event comes."""

    def __init__(self) -> None:
        self.opened = asyncio.get_running_loop().create_future()
        self.delays_s: list[float] = []
        self.is_refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"GET {STREAM} HTTP/1.1\r\nhost: kuji\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self.is_refused = b"HTTP/1.1 200" not in data
            self.opened.set_result(None)
        now = time.time()
        for won_at in _WON_AT.findall(data):
            then = datetime.fromisoformat(won_at.decode())
            self.delays_s.append(now - then.timestamp())


async def _listen(port: int, count: int) -> None:
    """Open *count* connections, say so, listen until told to end, and say what was heard."""
    loop = asyncio.get_running_loop()
    listeners: list[_Listener] = []
    while len(listeners) < count:
        some = [
            await loop.create_connection(_Listener, "127.0.0.1", port)
            for _ in range(min(_CONNECTING_AT_ONCE, count - len(listeners)))
        ]
        listeners += [protocol for _, protocol in some]
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(protocol.opened for _, protocol in some))
    print(sum(not one.is_refused for one in listeners), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    delays_s = [delay for one in listeners for delay in one.delays_s]
    print(len(delays_s), *_of(delays_s), flush=True)


def _of(times_s: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    ordered = sorted(times_s) or [0.0]
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


async def _read_list(http: httpx.AsyncClient, is_over: asyncio.Event) -> list[float]:
    waits_s: list[float] = []
    while not is_over.is_set() or len(waits_s) < _WAITS_AT_LEAST:
        page = len(waits_s) % 50 + 1  # not what the edge keeps
        began = time.monotonic()
        response = await http.get(LIST, params={"page": page, "page_size": 50 + page})
        response.raise_for_status()
        waits_s.append(time.monotonic() - began)
        await asyncio.sleep(0.02)
    return waits_s


async def measured(
    rig: Rig, postgres: asyncpg.Pool, redis: Redis, count: int, wins_per_s: float, seconds: float
) -> Figures:
    """The figures of *count* listeners at the edge of *rig*, and so many wins for so long."""
    is_over = asyncio.Event()
    is_over.set()
    quiet_s = await _read_list(rig.http, is_over)
    is_over.clear()
    reading = asyncio.create_task(_read_list(rig.http, is_over))
    crowd = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.listeners", "--port", str(rig.edge.port), "--listeners", str(count)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    opened = int(await crowd.stdout.readline())
    until, wins = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        wins += len(await record_wins(postgres, redis, 1))
        await asyncio.sleep(1 / wins_per_s)
    is_over.set()
    crowded_s = await reading
    crowd.stdin.write(b"\n")
    heard, p50, p99 = (await crowd.stdout.readline()).split()
    await crowd.wait()
    late_s = (float(p50), float(p99))
    return Figures(count, opened, wins, int(heard), late_s, _of(quiet_s), _of(crowded_s))


@asynccontextmanager
async def _running(program: Program, probe: Probe) -> AsyncIterator[None]:
    child = Child(program)
    try:
        await child.wait_until_ready(probe)
        yield
    finally:
        stop([child], timeout_s=10)


@asynccontextmanager
async def _stores(folder: Path) -> AsyncIterator[tuple[str, str]]:
    port, redis_port = free_port(), free_port()
    url = f"redis://127.0.0.1:{redis_port}/0"
    dsn = f"postgresql://postgres:secret@127.0.0.1:{port}/postgres"
    valkey = servers.valkey(folder / "valkey", redis_port, folder / "valkey.log")
    postgres = servers.postgres(folder / "postgres", port, folder / "postgres.log")
    async with (
        _running(valkey, lambda: servers.valkey_answers(url)),
        _running(postgres, lambda: databases.is_up(folder / "postgres", port)),
    ):
        await databases.open_to_superuser(folder / "postgres", port, "secret")
        connection = await asyncpg.connect(dsn)
        await migrate(connection)
        await connection.close()
        yield dsn, url


async def _measure(count: int, wins_per_s: float, seconds: float) -> Figures:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dsn, url = await stack.enter_async_context(_stores(folder))
        postgres = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=1))
        redis = await stack.enter_async_context(Redis.from_url(url))
        rig = await stack.enter_async_context(running_rig(folder / "edge", missing="history"))
        (address,) = rig.edge.upstreams["history"]
        bounds = {"stream_listeners": 20_000, "stream_listeners_of_address": 20_000}
        await stack.enter_async_context(history_process(address, dsn, url, **bounds))
        await rig.wait_for_health(200, PATIENCE_S)
        await record_wins(postgres, redis, 5000)
        return await measured(rig, postgres, redis, count, wins_per_s, seconds)


def main(
    listeners: Annotated[int, typer.Option(help="Connections.")] = 1000,
    wins_per_s: Annotated[float, typer.Option(help="Recorded, each by itself.")] = 10.0,
    seconds: Annotated[float, typer.Option(help="How long.")] = 15.0,
    port: Annotated[int, typer.Option(hidden=True, help="Only listen there.")] = 0,
) -> None:
    """Measure the winners' stream."""
    if port:
        asyncio.run(_listen(port, listeners))
        return
    found = asyncio.run(_measure(listeners, wins_per_s, seconds))
    print(f"{found.opened} of {found.asked} listeners let in; {found.wins} wins")
    print(f"heard {found.heard} of {found.wins * found.opened} by the end")
    for name, (p50, p99) in (
        ("events late by", found.late_s),
        ("list, nobody listens", found.quiet_s),
        ("list, crowded", found.crowded_s),
    ):
        print(f"{name}: {p50:.3f} s (p50), {p99:.3f} s (p99)")


if __name__ == "__main__":
    typer.run(main)
