"""Kuji as a side: the whole of it, through Envoy; and an empty handler behind the same Envoy."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex

import asyncpg

from demo.activities import Prize, open_activity
from demo.client import Edge as Face
from demo.client import asked, log_in, open_edge
from ops.connections import Login
from ops.errors import OperatorError
from services.common.postgres import load_queries
from stack.edge.config import Edge, envoy
from stack.edge.health import is_serving
from stack.edge.limits import Limit, Limits
from stack.ports import free_port
from stack.processes import ROOT, Child, stop
from tests.bench import servers
from tests.bench.contest.lottery import DRAWS_PER_USER, OFFERS, Opened
from tests.bench.contest.sides import Crowd, Record, Side
from tests.bench.machine import family_cpu_s
from tests.bench.servers import Bench, Service
from tests.support.stacks import StackUnderTest

queries = load_queries(__file__)
_STOP_TIMEOUT_S = 10.0
_TOKEN_TTL_S = 86_400
_NO_LIMIT = Limit(1_000_000, 1_000_000)
_crowds: dict[Path, Crowd] = {}  # by the folder of the stack


class KujiSide(Side):
    """
    A whole stack.

    Args:
        stack: It.
        postgres: Its database.
        crowd: Who may draw.
    """

    def __init__(self, stack: StackUnderTest, postgres: asyncpg.Pool, crowd: Crowd) -> None:
        super().__init__("Kuji", stack.edge_port, crowd)
        self._stack = stack
        self._postgres = postgres
        self._pools: dict[int, int] = {}

    async def open_activity(self) -> Opened:
        """As an operator does it; where a call fails in passing, another one."""
        async with open_edge(self._stack.edge, 1) as edge:
            token = await log_in(edge, Login(**self._stack.admin))
            opened, pool_id = (await asked(lambda: _open_activity(edge, token))).answer
        self._pools[opened.activity_id] = pool_id
        return opened

    async def recorded(self, opened: Opened) -> int:
        """How far the recorder is."""
        pool_id = self._pools[opened.activity_id]
        return int(await servers.queries.recorded_seq(self._postgres, pool_id=pool_id))

    async def records(self, opened: Opened) -> Iterable[Record]:
        """Its rows of lottery_records."""
        rows = queries.list_draws(self._postgres, pool_id=self._pools[opened.activity_id])
        return [Record(**row) async for row in rows]

    def cpu_s(self) -> float:
        """Of all parts."""
        return sum(map(family_cpu_s, self._stack.pids().values()))

    def kill(self) -> None:
        """End all draw processes as a crash would; the supervisor starts them again."""
        for part, pid in self._stack.pids().items():
            if part.partition("-")[0] == "draw":
                os.kill(pid, signal.SIGKILL)


async def _open_activity(edge: Face, token: str) -> tuple[Opened, int]:
    settings: dict[str, object] = {
        "name": "Measured",
        "max_draws_per_user": DRAWS_PER_USER,
        "max_draws_per_day": DRAWS_PER_USER,
    }
    prizes = [Prize(offer.name, offer.units, offer.percent / 100) for offer in OFFERS]
    opened = await open_activity(edge, token, prizes, settings)
    offers = dict(zip(opened.prize_ids, OFFERS, strict=True))
    return Opened(opened.activity_id, offers), opened.pool_id


@asynccontextmanager
async def kuji_side(stack: StackUnderTest, users: int) -> AsyncIterator[KujiSide]:
    """*stack*, with *users* who have not drawn, or with half of them from a measure before."""
    crowd = _crowds.get(stack.home)
    if crowd is None or crowd.left < users // 2:
        crowd = _crowds[stack.home] = await _make_crowd(stack, users)
    async with asyncpg.create_pool(stack.postgres, min_size=0, max_size=2) as postgres:
        yield KujiSide(stack, postgres, crowd)


async def _make_crowd(stack: StackUnderTest, users: int) -> Crowd:
    name = token_hex(4)
    prefix, tokens = f"crowd-{name}-", stack.home / f"tokens-{name}"
    await _kuji(
        stack, "users", "create", "--count", users, "--prefix", prefix, "--password", token_hex()
    )
    options = "--count", users, "--prefix", prefix, "--out", tokens, "--ttl", _TOKEN_TTL_S
    await _kuji(stack, "users", "tokens", "--as-logins", *options)
    return Crowd(tokens, users)


async def _kuji(stack: StackUnderTest, *arguments: object) -> None:
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("kuji"),
        *map(str, arguments),
        cwd=ROOT,
        env={**os.environ, "KUJI_HOME": str(stack.home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    if process.returncode != 0:
        raise OperatorError(told.decode(errors="replace").strip())


class EmptySide(Side):
    """Answers made long ago; nothing is drawn, and nothing on record."""

    keeps_records = False

    def __init__(self, port: int, crowd: Crowd, pids: Sequence[int]) -> None:
        super().__init__("an empty handler", port, crowd)
        self._pids = pids

    async def open_activity(self) -> Opened:
        """Any will do."""
        return Opened(1, {})

    async def recorded(self, opened: Opened) -> int:
        """None."""
        return 0

    async def records(self, opened: Opened) -> Iterable[Record]:
        """None."""
        return []

    def cpu_s(self) -> float:
        """Of the handler and its Envoy."""
        return sum(map(family_cpu_s, self._pids))

    def kill(self) -> None:
        """Nothing would be lost."""


@asynccontextmanager
async def empty_side(bench: Bench, stack: StackUnderTest, crowd: Crowd) -> AsyncIterator[EmptySide]:
    """The empty handler behind an Envoy as the stack's: routes, filters, settings, tokens' keys."""
    secret, port = token_hex(32), free_port()
    environment = {"KUJI_AUTH_ADDRESS": stack.grpc["auth"], "KUJI_EDGE_SECRET": secret}
    service = Service("tests.bench.empty", environment)
    folder = bench.folder / f"envoy-{port}"
    upstreams = {name: [address] for name, address in stack.grpc.items()}
    edge = Edge(
        "127.0.0.1",
        port,
        folder / "admin.sock",
        {**upstreams, "draw": [service.address]},
        secret,
        limits=Limits(_NO_LIMIT, Limits().credentials, Limits().user),
    )
    async with bench.running(service) as (handler,):
        child = Child(envoy(edge, folder, folder.with_suffix(".log")))
        try:
            await child.wait_until_ready(partial(is_serving, edge))
            yield EmptySide(port, replace(crowd), [handler.pid, child.pid])
        finally:
            stop([child], _STOP_TIMEOUT_S)
