"""
X1a, X1b: what it costs to tell a draw only once it is safer than on one disk.

Against telling it at once: a win once it is in Postgres, any draw once a replica has it on disk.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from stack import servers
from stack.ports import free_port
from stack.processes import Child, stop
from tests.bench.figures import Figure, Step, alternate, spread
from tests.bench.jobs import Job
from tests.bench.pools import MeasuredPool, open_pool
from tests.bench.scale import Scale
from tests.bench.servers import Bench, Site

_IN_FLIGHT = (1, 64)
_WHAT = {"X1a": "wins confirmed by Postgres", "X1b": "draws confirmed by a replica"}
_FOLLOWS_WITHIN_S = 60.0
_STOP_TIMEOUT_S = 10.0


@dataclass
class _Side:
    """One pool, and how long its answers took, window by window."""

    pool: MeasuredPool
    waits_s: list[dict[str, list[float]]] = field(default_factory=list)

    async def draw(self, job: Job) -> float:
        """Draws a second."""
        tally = await self.pool.do(job)
        self.waits_s.append(tally.waits_s)
        await self.pool.check(tally.draws)
        return tally.draws_per_s

    def told(self) -> str:
        """p50 and p99, medians over the windows."""
        return ", ".join(f"{name} {self._told(name)}" for name in ("win", "miss"))

    def _told(self, name: str) -> str:
        found = [waits[name] for waits in self.waits_s if name in waits]
        p50, p99 = (median(at) * 1000 for at in zip(*found, strict=True)) if found else (0.0, 0.0)
        return f"{p50:.1f} / {p99:.1f} ms"


async def measure_recorded(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """X1a: a figure for each number of callers at once; a step for each window."""
    async with bench.site() as site:
        return await _measure("X1a", pool_pb2.CONFIRM_RECORDED, bench, site, scale, step)


async def measure_replica(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """X1b: the same; both pools are in a store that has a replica."""
    async with _replica(bench), bench.site() as site:
        return await _measure("X1b", pool_pb2.CONFIRM_REPLICA, bench, site, scale, step)


async def _measure(
    id_: str,
    confirm: pool_pb2.Confirm.ValueType,
    bench: Bench,
    site: Site,
    scale: Scale,
    step: Step,
) -> list[Figure]:
    stored = await open_pool(bench, site)
    confirmed = await open_pool(bench, site, confirm=confirm)
    return [
        await _compare(id_, stored, confirmed, in_flight, scale, step) for in_flight in _IN_FLIGHT
    ]


@asynccontextmanager
async def _replica(bench: Bench) -> AsyncIterator[None]:
    """A second Valkey that follows the first, and has on disk what it says it has."""
    port, folder = free_port(), bench.folder / "replica"
    url = f"redis://127.0.0.1:{port}/0"
    child = Child(servers.valkey(folder, port, bench.folder / "replica.log"))
    try:
        await child.wait_until_ready(lambda: servers.valkey_answers(url))
        async with Redis.from_url(f"{bench.redis_server}/0") as primary:
            await primary.config_set("repl-diskless-sync-delay", 0)
        async with Redis.from_url(url) as replica:
            primary_port = bench.redis_server.rpartition(":")[2]
            await replica.execute_command("REPLICAOF", "127.0.0.1", primary_port)  # type: ignore[no-untyped-call]
            async with asyncio.timeout(_FOLLOWS_WITHIN_S):
                while (await replica.info("replication"))["master_link_status"] != "up":  # noqa: ASYNC110  # nothing tells us
                    await asyncio.sleep(0.05)
        yield
    finally:
        stop([child], _STOP_TIMEOUT_S)


async def _compare(
    id_: str,
    stored: MeasuredPool,
    confirmed: MeasuredPool,
    in_flight: int,
    scale: Scale,
    step: Step,
) -> Figure:
    a, b = _Side(confirmed), _Side(stored)
    job = Job(
        kind="unary",
        target="",
        users=scale.users,
        in_flight=in_flight,
        seconds=scale.unary_s,
        timed=True,
    )
    rates = await alternate(scale.rounds, lambda: a.draw(job), lambda: b.draw(job), step, id_)
    return Figure(
        id_,
        f"{_WHAT[id_]}, {in_flight} at once",
        f"{spread(rates.a)} draws/s",
        f"told at once: {spread(rates.b)} draws/s",
        rates.ratio,
        "",
        True,
        (
            f"{in_flight} at once, p50 / p99: {a.told()}",
            f"{in_flight} at once, told at once: {b.told()}",
        ),
    )
