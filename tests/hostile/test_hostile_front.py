"""
Strangers at the port of a draw process, whichever front it has: no other caller notices.

KUJI_FRONT_CALLS=1000000 makes so many draws at last, and all else as large as goes with that: a
hundred thousand cancelled calls, 5000 connections, messages of 256 MiB (-s shows the figures).
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from redis.asyncio import Redis

from services.common.server.serve import Front
from stack.ports import free_port
from tests.hostile.front_attacks import ATTACKS, CALLS, IS_FULL, Attack, Ground, hold
from tests.hostile.target import forget_most, most_resident, resident
from tests.support.draw_process import draw_process
from tests.support.draw_service import Caller, World
from tests.support.history import eventually

_MISSES = (1_000_000_000, 1)
_PATIENCE_S = 7200 if IS_FULL else 300
_GROWTH_BYTES = 24 << 20
_HONEST_CALLS = 200 if IS_FULL else 5
_AT_ONCE = 128
_PARTS = 10  # of the calls: that memory is flat is seen at each


@pytest.fixture(params=Front)
def variables(
    request: pytest.FixtureRequest, world: World, redis_url: str, postgres_dsn: str
) -> dict[str, str]:
    """What a draw process with each front is told."""
    return {
        "KUJI_DRAW_FRONT": request.param,
        "KUJI_REDIS_URL": redis_url,
        "KUJI_POSTGRES_DSN": postgres_dsn,
        "KUJI_AUTH_ADDRESS": world.auth_address,
        "KUJI_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
    }


async def _in_hand(variables: dict[str, str]) -> int:
    """Calls that the process is at."""
    async with httpx.AsyncClient() as http:
        page = await http.get(f"http://{variables['KUJI_METRICS_LISTEN']}/metrics", timeout=30)
    (line,) = [one for one in page.text.splitlines() if one.startswith('kuji_rpc_in_hand{kind="c')]
    return int(float(line.split()[-1]))


class Honest:
    """
    Two who draw all the time: one over the connection that strangers use, as callers of the edge
    do, one in a process of its own, which nothing holds up but the server.

    Attributes:
        took_s: By phase: how long the draws of the latter took.
        refused: What either was told instead of an answer.
    """

    def __init__(self, activity_id: int, beside: Caller) -> None:
        self._activity_id = activity_id
        self._beside = beside
        self.phase = ""
        self.took_s: dict[str, list[float]] = defaultdict(list)
        self.refused: list[str] = []

    async def goes_on(self, phase: str) -> None:
        """Enter *phase*; return once some more draws were made in it."""
        self.phase = phase
        enough = len(self.took_s[phase]) + _HONEST_CALLS
        while len(self.took_s[phase]) < enough:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def sentence(self, phase: str) -> str:
        """The waits of a phase, for people."""
        took = self.took_s[phase]
        return f"p50 {_part(took, 0.5):.0f} ms, p99 {_part(took, 0.99):.0f} ms, {len(took)} draws"

    @asynccontextmanager
    async def calling(self, address: str, token: str) -> AsyncIterator[None]:
        """They draw as long as the block lasts."""
        arguments = (address, str(self._activity_id), token)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.hostile.front_honest", *arguments),
            stdout=asyncio.subprocess.PIPE,
        )
        tasks = [asyncio.ensure_future(one) for one in (self._call(), self._hear(process))]
        try:
            yield
        finally:
            process.kill()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await process.wait()

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            took_s, _, outcome = line.decode().strip().partition(" ")
            self.took_s[self.phase].append(float(took_s))
            if outcome != "OK":
                self.refused.append(f"{self.phase}, apart: {outcome}")

    async def _call(self) -> None:
        while True:
            try:
                await self._beside.draw(self._activity_id, "", timeout=_PATIENCE_S)
            except grpc.aio.AioRpcError as error:
                self.refused.append(f"{self.phase}: {error.code().name} {error.details()}")
            await asyncio.sleep(0.02)


def _part(took_s: Sequence[float], part: float) -> float:
    return sorted(took_s)[int(len(took_s) * part)] * 1000 if took_s else 0.0


@asynccontextmanager
async def _ground_of(world: World, address: str, activity_id: int) -> AsyncIterator[Ground]:
    """What strangers try."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=own) as shared:
        stranger = Caller(shared, world.auth.token(1, "user-1", "user"))
        await stranger.draw(activity_id, "")  # its token is known from here on
        service = world.service().metadata
        yield Ground(address, shared, stranger.metadata, service, activity_id)


@asynccontextmanager
async def _ground(world: World, address: str) -> AsyncIterator[tuple[Ground, Honest]]:
    """The same, and honest callers of it."""
    activity_id = (await world.activity(_MISSES)).activity_id
    async with _ground_of(world, address, activity_id) as ground:
        tokens = [world.auth.token(number, f"user-{number}", "user") for number in (2, 3)]
        beside, apart = [Caller(ground.channel, token) for token in tokens]
        for caller in (beside, apart):
            await caller.draw(activity_id, "")
        honest = Honest(activity_id, beside)
        async with honest.calling(address, tokens[1]):
            yield ground, honest


async def _undergo(attack: Attack, ground: Ground, honest: Honest, pid: int) -> int:
    """Bytes that the process keeps of *attack*: what it leaves once it may; again adds nothing."""
    honest.phase = name = attack.__name__
    forget_most(pid)
    least = most_resident(pid)
    await attack(ground)
    await honest.goes_on("between")
    before, honest.phase = resident(pid), name
    await attack(ground)
    most = most_resident(pid) - least
    await honest.goes_on("between")
    kept = resident(pid) - before
    print(
        f"{name}: {honest.sentence(name)}; memory: {most >> 20} MiB more at most,"
        f" {kept >> 10} KiB more in the end; then {honest.sentence('between')};"
        f" {len(honest.refused)} refused",
        flush=True,
    )
    honest.took_s["between"].clear()
    return kept


@pytest.mark.timeout(_PATIENCE_S)
async def test_honest_callers_are_answered_whatever_strangers_do(
    world: World, variables: dict[str, str], tmp_path: Path
) -> None:
    """Each of their draws, beside them on one connection too; nothing is kept of strangers."""
    kept: dict[str, int] = {}
    async with draw_process(tmp_path, **variables) as process:
        async with _ground(world, process.address) as (ground, honest):
            await honest.goes_on("before")
            at_first = resident(process.pid)
            for attack in ATTACKS:
                kept[attack.__name__] = await _undergo(attack, ground, honest, process.pid)
            await _draw(ground, CALLS // 10)
            before = resident(process.pid)
            honest.phase = "calls"
            for _ in range(_PARTS):
                await _draw(ground, CALLS // _PARTS)
                more = resident(process.pid) - before
                print(f"{CALLS // _PARTS} calls: {more >> 10} KiB more", flush=True)
            kept["calls"] = resident(process.pid) - before
            print(f"{CALLS} calls: {before >> 10} KiB before, {kept['calls'] >> 10} KiB more")
            print(f"all in all {(before - at_first) >> 10} KiB more than at first")
            await honest.goes_on("after")

        async def nothing_is_in_hand() -> bool:
            return not await _in_hand(variables)

        await eventually(nothing_is_in_hand)
    for phase in ("before", "calls", "after"):
        print(f"{phase}: {honest.sentence(phase)}")
    assert [] == honest.refused
    assert {} == {name: size for name, size in kept.items() if size > _GROWTH_BYTES}


async def _draw(ground: Ground, calls: int) -> None:
    """Each is answered with a result."""
    connection = await ground.raw()
    await connection.call(calls, _AT_ONCE)
    assert calls == connection.ended == connection.answered
    connection.drop()


async def test_calls_in_flight_are_answered_when_the_process_is_told_to_end(
    world: World, variables: dict[str, str], redis: Redis, tmp_path: Path
) -> None:
    """All that were taken before; then the process ends well."""
    patient = {**variables, "KUJI_REDIS_TIMEOUT_S": "120", "KUJI_DRAIN_S": "120"}
    activity = await world.activity(_MISSES)
    async with draw_process(tmp_path, **patient) as process:
        async with grpc.aio.insecure_channel(process.address) as channel:
            caller = Caller(channel, world.auth.token(2, "user-2", "user"))
            await caller.draw(activity.activity_id, "")
            await redis.client_pause(600_000, all=False)  # what writes waits
            draws = [
                asyncio.ensure_future(caller.draw(activity.activity_id, f"a{number}", timeout=240))
                for number in range(300)
            ]

            async def all_are_in_hand() -> bool:
                return await _in_hand(variables) == len(draws)

            await eventually(all_are_in_hand)
            process.ask_to_stop()
            await redis.client_unpause()
            answers: list[Any] = await asyncio.gather(*draws)
            assert {f"a{number}" for number in range(300)} == {one.request_id for one in answers}
        assert 0 == await process.exit_code()


async def test_process_ends_in_time_whatever_strangers_hold_open(
    world: World, variables: dict[str, str], tmp_path: Path
) -> None:
    """Told to end, it takes as long as it was given to drain; then it ends well."""
    activity = await world.activity(_MISSES)
    async with (
        draw_process(tmp_path, KUJI_DRAIN_S="1", **variables) as process,
        _ground_of(world, process.address, activity.activity_id) as ground,
        hold(ground),
    ):
        process.ask_to_stop()
        assert 0 == await process.exit_code()
