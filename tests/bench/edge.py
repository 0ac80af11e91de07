"""
python -m tests.bench.edge --against CHECKOUT: what a JSON draw costs Envoy, before and after.

Two edges, the one of this version and that of another checkout, lead to the same scripted services
and are called in turn: A B A B. What counts is Envoy's CPU for each draw answered.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from kuji.draw.v1 import draw_pb2

from services.common.timestamps import timestamp_of_ms
from stack.edge.config import Edge, usual_threads
from stack.edge.health import is_serving
from stack.ports import free_port
from stack.processes import Child, Program, stop
from stack.wheels import envoy_binary
from tests.bench.figures import spread
from tests.bench.machine import cores, cpu_model, cpu_s, load
from tests.contract.edge_rig import EDGE_SECRET, Rig, Script, running_rig

_USERS = 1000
_PATIENCE_S = 60
_NEVER = 2**31
_ANSWER = draw_pb2.DrawResponse(
    result=draw_pb2.DrawResult(
        draw_id="1-1000000",
        odds=0.9,
        drawn_at=timestamp_of_ms(1_700_000_000_123),
        request_id="edge-1-1000000",
        pool_version=1,
        odds_weight=900_000_000,
        odds_total=1_000_000_000,
        activity_id=1,
        ledger_link="0123456789" * 4,
    )
)


@dataclass(frozen=True)
class Side:
    """An edge: whose configuration, and threads of Envoy."""

    checkout: Path
    threads: int


@dataclass(frozen=True)
class Turns:
    """How often each edge is called, for how long, by how many at a time."""

    rounds: int
    seconds: float
    connections: int


def _write_tokens(script: Script, file: Path) -> None:
    tokens = (script.token(sub=str(user), exp=_NEVER) for user in range(1, _USERS + 1))
    file.write_text("\n".join(tokens))


def _configure(checkout: Path, edge: Edge, folder: Path) -> None:
    """Have *checkout* write the configuration of *edge* into *folder*, as for a container."""
    folder.mkdir()
    environment = {
        "KUJI_EDGE_HOST": edge.host,
        "KUJI_EDGE_PORT": str(edge.port),
        "KUJI_EDGE_SECRET": edge.secret,
        "KUJI_EDGE_STATUS_LISTEN": f"127.0.0.1:{free_port()}",
        **{
            f"KUJI_EDGE_{name.upper()}_ADDRESS": addresses[0]
            for name, addresses in edge.upstreams.items()
        },
    }
    paths = os.pathsep.join(str(path) for path in (checkout, checkout / "gen"))
    subprocess.run(
        [sys.executable, "-m", "ops.cli", "edge-config", str(folder)],
        env=os.environ | environment | {"PYTHONPATH": paths},
        cwd=checkout,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=_PATIENCE_S,
    )
    file = folder / "envoy.yaml"
    file.write_text(re.sub(r"/tmp/(\w+\.sock)", rf"{folder}/\1", file.read_text()))


@asynccontextmanager
async def _edge_of(
    checkout: Path, rig: Rig, folder: Path, threads: int
) -> AsyncIterator[tuple[int, int]]:
    """Port and process id of the edge of *checkout* before the services of *rig*."""
    edge = Edge("127.0.0.1", free_port(), folder / "admin.sock", rig.edge.upstreams, EDGE_SECRET)
    await asyncio.to_thread(_configure, checkout, edge, folder)
    options = ["--disable-hot-restart", "--log-level", "error", "--use-dynamic-base-id"]
    options += ["--concurrency", str(threads)]
    command = [envoy_binary(), "-c", str(folder / "envoy.yaml"), *options]
    child = Child(Program("envoy", command, folder / "envoy.log", folder=folder))
    try:
        await child.wait_until_ready(partial(is_serving, edge))
        yield edge.port, child.pid
    finally:
        stop([child], timeout_s=10)


class Crowd:
    """A process of its own that draws; see edge_crowd.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def draw(self, port: int, seconds: float) -> int:
        """The draws that the edge at *port* answered within *seconds*."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{port} {seconds}\n".encode())
        answered, failed = map(int, (await self._process.stdout.readline()).split())
        if failed or not answered:
            raise RuntimeError(f"{failed} draws failed, {answered} did not")
        return answered

    async def cost_us(self, edge: tuple[int, int], seconds: float) -> float:
        """Microseconds of the edge's CPU for a draw."""
        port, pid = edge
        before = cpu_s(pid)
        answered = await self.draw(port, seconds)
        return (cpu_s(pid) - before) / answered * 1e6


@asynccontextmanager
async def crowd_of(tokens: Path, connections: int, activity_id: int = 0) -> AsyncIterator[Crowd]:
    """So many callers, who draw from an activity; 0: from one that a script plays."""
    arguments = (str(tokens), str(connections), str(activity_id))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.edge_crowd", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Crowd(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _measure(sides: Sequence[Side], scale: Turns) -> list[list[float]]:
    """What each side costs, turn by turn."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kuji-edge-")))
        (folder / "rig").mkdir()
        rig = await stack.enter_async_context(running_rig(folder / "rig"))
        rig.script.answer("Draw", _ANSWER)
        edges = [
            await stack.enter_async_context(
                _edge_of(side.checkout, rig, folder / str(n), side.threads)
            )
            for n, side in enumerate(sides)
        ]
        _write_tokens(rig.script, folder / "tokens")
        crowd = await stack.enter_async_context(crowd_of(folder / "tokens", scale.connections))
        for edge in edges:
            await crowd.draw(edge[0], scale.seconds)
        costs: list[list[float]] = [[] for _ in edges]
        for turn in range(scale.rounds):
            # The other way round each time, so that a drift is no one's gain.
            for side in sorted(range(len(edges)), reverse=turn % 2 == 1):
                costs[side].append(await crowd.cost_us(edges[side], scale.seconds))
                rig.script.requests.clear()
        return costs


def _side(text: str) -> Side:
    checkout, _, threads = text.partition(":")
    return Side(Path(checkout).resolve(), int(threads or usual_threads()))


def main(
    against: Annotated[
        list[str], typer.Option(help="CHECKOUT or CHECKOUT:THREADS; may come again.")
    ],
    own: Annotated[str, typer.Option(help="Likewise, of this version.")] = ".",
    rounds: Annotated[int, typer.Option(help="How often each takes its turn.")] = 7,
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 2.0,
    connections: Annotated[int, typer.Option(help="Callers of one draw at a time.")] = 64,
) -> None:
    """Compare this version's edge with those of other checkouts, by Envoy's CPU for a JSON draw."""
    before = load()
    sides = [_side(text) for text in (own, *against)]
    first, *others = asyncio.run(_measure(sides, Turns(rounds, seconds, connections)))
    print(f"{own}: {spread(first)} us of Envoy's CPU for a draw")
    for name, costs in zip(against, others, strict=True):
        ratio = [mine / other for mine, other in zip(first, costs, strict=True)]
        print(f"{name}: {spread(costs)} us; {own} is {spread(ratio, 2)} of it")
    print(f"{cores()} cores, {cpu_model()}; load before {before:.2f}")


if __name__ == "__main__":
    typer.run(main)
