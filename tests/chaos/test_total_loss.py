"""
All of Redis is lost under load, with the recorder far behind; `kuji rebuild`, and everything again.

Users draw and a shop orders, over a draw process and a recorder of their own. The recorder stops in
the middle of it, draws go on, then nothing of Redis is left.
"""

import asyncio
import itertools
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.status import error_info_of
from services.pool.store.keys import RECORDED, STATE, key
from stack.ports import free_port
from stack.processes import Child, Program, stop
from tests.support.admin import FakeAuth, auth_server
from tests.support.blindbox import Box, ItemSpec
from tests.support.blindbox_draw import Mall
from tests.support.boxes import LAST_PRIZE
from tests.support.command import run_kuji
from tests.support.draw_process import draw_process
from tests.support.draw_service import Activity, Valkey, World, own_valkey
from tests.support.history import eventually

BY_RECORD = pool_pb2.CONFIRM_RECORDED
UNITS = 40
CHANCE = 100_000_000
TICKETS = 400
BEHIND = 300  # draws that the recorder has not seen when Redis is lost
DRAWERS, BUYERS = 16, 2
FIRST_DRAWERS, FIRST_WINS = 4, 5  # before the recorder stops
_CALL_S = 5.0
_PATIENCE_S = 120
_STOP_S = 10
# What is answered while Redis is lost, nobody confirms, or all that is left is held back.
_PASSING = {"UNAVAILABLE", "OVERLOADED", "POOL_NOT_LOADED", "SOLD_OUT", ""}


@dataclass
class Rig:
    """A draw process and a recorder over a Redis that will be lost."""

    mall: Mall
    recorder: Child
    valkey: Valkey
    dsn: str

    @property
    def stores(self) -> dict[str, str]:
        """Where they are, for `kuji`."""
        return {"KUJI_POSTGRES_DSN": self.dsn, "KUJI_REDIS_URL": self.valkey.url}

    async def rebuild(self) -> str:
        """What `kuji rebuild` says."""
        ran = await run_kuji("rebuild", **self.stores)
        assert 0 == ran.code, ran
        return ran.out


@pytest.fixture
async def rig(postgres: asyncpg.Pool, postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """The processes, and nothing to draw from yet."""
    auth = FakeAuth()  # type: ignore[abstract]  # the methods that verifiers call
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        auth_address, valkey = await enter(auth_server(auth)), await enter(own_valkey(tmp_path))
        redis = await enter(Redis.from_url(valkey.url))
        stores = {"KUJI_POSTGRES_DSN": postgres_dsn, "KUJI_REDIS_URL": valkey.url}
        told = {"KUJI_AUTH_ADDRESS": auth_address, "KUJI_SWEEP_EVERY_S": "0.2", **stores}
        draws = await enter(draw_process(tmp_path, **told))
        recorder = _recorder(tmp_path, **stores)
        stack.callback(stop, [recorder], _STOP_S)
        channel = await enter(grpc.aio.insecure_channel(draws.address))
        world = World(auth, auth_address, postgres, [draws.address], [channel])
        yield Rig(Mall(world, redis), recorder, valkey, postgres_dsn)


def _recorder(folder: Path, **variables: str) -> Child:
    others = {name: text for name, text in os.environ.items() if not name.startswith("KUJI_")}
    environment = {**others, "KUJI_LISTEN": f"127.0.0.1:{free_port()}", **variables}
    command = [sys.executable, "-m", "services.recorder"]
    return Child(Program("recorder", command, folder / "recorder.log", environment))


Name = tuple[str, int]
Told = list[tuple[str, str, int]]


@dataclass
class Load:
    """
    Draws and orders, each under a name of its own.

    Args:
        told: What was answered, of each place: draw id, prize code (none: a miss), prize or item.
        unknown: What was asked and got no answer yet.
    """

    mall: Mall
    activity: Activity
    box: Box
    told: dict[Name, Told] = field(default_factory=dict)
    unknown: set[Name] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    async def win_some(self) -> None:
        """
        Return once some draws and some orders have been told that they won.

        Each is asked for until it is answered: until the recorder is there, nobody is told of a
        confirmed win, and whoever went on to the next would use up all units meanwhile.
        """
        async with asyncio.timeout(_PATIENCE_S), asyncio.TaskGroup() as tasks:
            for kind in ["draw"] * FIRST_DRAWERS + ["order"]:
                tasks.create_task(self._win_some(kind))

    async def _win_some(self, kind: str) -> None:
        while sum(of == kind for of, _ in self.wins()) < FIRST_WINS:
            name = (kind, next(self._numbers))
            while not await self.ask(name):
                pass

    async def run(self, until: Callable[[], Awaitable[bool]]) -> None:
        """Ask for ever more, until *until* holds."""
        tasks = [asyncio.ensure_future(self._work("draw")) for _ in range(DRAWERS)]
        tasks += [asyncio.ensure_future(self._work("order")) for _ in range(BUYERS)]

        async def is_so() -> bool:
            for task in tasks:
                if task.done():
                    task.result()
            return await until()

        try:
            await eventually(is_so)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _work(self, kind: str) -> None:
        while True:
            await self.ask((kind, next(self._numbers)))

    async def ask(self, name: Name) -> bool:
        """Ask once; whether there was an answer."""
        self.unknown.add(name)
        try:
            told = await (self._draw if name[0] == "draw" else self._order)(name[1])
        except grpc.aio.AioRpcError as error:
            info = error_info_of(error)
            reason = info.reason if info is not None else ""
            if reason not in _PASSING:
                raise
            await asyncio.sleep(0.02)
            return False
        assert self.told.setdefault(name, told) == told, (name, self.told[name], told)
        self.unknown.discard(name)
        return True

    async def _draw(self, user_id: int) -> Told:
        result = await self.mall.user(user_id).draw(
            self.activity.activity_id, "once", timeout=_CALL_S
        )
        return [(result.draw_id, result.prize.prize_code, result.prize.prize_id)]

    async def _order(self, number: int) -> Told:
        placed = await self.mall.shop().order(self.box, f"o-{number}", number)
        return [
            (proof.draw_id, item.prize_code, item.goods_item_id)
            for item, proof in zip(placed.results, placed.proofs, strict=True)
        ]

    def wins(self) -> dict[Name, Told]:
        """What was told of wins."""
        return {name: told for name, told in self.told.items() if told[0][1]}

    def forget_misses(self) -> None:
        """Nobody promised that they last; they are asked for again like the unknown."""
        for name in self.told.keys() - self.wins().keys():
            del self.told[name]
            self.unknown.add(name)

    async def settle(self) -> None:
        """Ask again until everything is answered; what was told before is told again."""
        names = sorted({*self.told, *self.unknown})
        for at in range(0, len(names), 64):
            missing = set(names[at : at + 64])
            while missing:
                asked = sorted(missing)
                answered = await asyncio.gather(*map(self.ask, asked))
                missing -= {one for one, is_told in zip(asked, answered, strict=True) if is_told}


async def lag_of(redis: Redis, pool_id: int) -> int:
    """Draws of a pool that the recorder has not written."""
    seq: Any = await redis.hget(key(pool_id, STATE), "seq")
    recorded: Any = await redis.get(key(pool_id, RECORDED))
    return int(seq or 0) - int(recorded or 0)


async def codes_of(postgres: asyncpg.Pool) -> dict[str, tuple[str, int]]:
    """Every win on record: its code → draw id, whose."""
    rows = await postgres.fetch("SELECT prize_code, pool_id, seq, user_id FROM winners")
    return {row["prize_code"]: (f"{row['pool_id']}-{row['seq']}", row["user_id"]) for row in rows}


async def test_no_confirmed_win_is_lost_doubled_or_oversold_when_all_of_redis_is_lost(
    rig: Rig,
) -> None:
    """A2, X1a: whatever was told of a win holds; who was told nothing asks again, and wins once."""
    mall, redis = rig.mall, rig.mall.redis
    activity = await mall.world.activity((UNITS, CHANCE), confirm=BY_RECORD)
    box = await mall.box(ItemSpec(stock=TICKETS), confirm=BY_RECORD)
    load = Load(mall, activity, box)

    async def recorder_is_far_behind() -> bool:
        return await lag_of(redis, activity.pool_id) >= BEHIND

    await load.win_some()
    os.kill(rig.recorder.pid, signal.SIGSTOP)
    await load.run(recorder_is_far_behind)
    announced = load.wins()
    await redis.flushall()
    os.kill(rig.recorder.pid, signal.SIGCONT)
    await rig.rebuild()
    load.forget_misses()
    await load.settle()
    assert announced == {name: load.told[name] for name in announced}, "lost"
    told = {place[1]: (place[0], n) for (_, n), places in load.wins().items() for place in places}
    assert sum(map(len, load.wins().values())) == len(told), "doubled"
    recorded = await codes_of(mall.postgres)
    assert told == {code: recorded[code] for code in told}
    won = await mall.postgres.fetch("SELECT won_count <= total_count FROM prizes")
    assert {True} == {row[0] for row in won}, "oversold"
    assert recorded.keys() == told.keys(), "somebody has won without being told"


async def test_nobody_is_given_what_was_told_to_another_when_all_of_redis_is_lost(
    rig: Rig,
) -> None:
    """A2: without confirmed wins, what lost draws may have won is held back until its release."""
    mall, redis = rig.mall, rig.mall.redis
    activity = await mall.world.activity((UNITS, CHANCE))
    box = await mall.box(ItemSpec(stock=TICKETS), LAST_PRIZE)
    load = Load(mall, activity, box)

    async def recorder_is_far_behind() -> bool:
        lags = [await lag_of(redis, pool.pool_id) for pool in (activity, box)]
        return lags[0] >= BEHIND and lags[1] >= 1

    async def many_more_drew() -> bool:
        return len(load.told) >= drew + BEHIND

    await load.win_some()
    os.kill(rig.recorder.pid, signal.SIGSTOP)
    await load.run(recorder_is_far_behind)
    await redis.flushall()
    os.kill(rig.recorder.pid, signal.SIGCONT)
    assert "held back" in await rig.rebuild()
    drew = len(load.told)
    await load.run(many_more_drew)
    assert {} == await _given_twice(rig, load)
    for pool in (activity, box):
        ran = await run_kuji("release", "--pool", str(pool.pool_id), **rig.stores)
        assert (0, True) == (ran.code, "given back" in ran.out)
    drew = len(load.told)
    await load.run(many_more_drew)
    await _until_recorded(rig, load)
    ran = await run_kuji("reconcile", **rig.stores)
    assert (0, "✓ the books balance (2 pools)\n") == ran[:2]


async def _until_recorded(rig: Rig, load: Load) -> None:
    async def is_recorded() -> bool:
        pools = (load.activity, load.box)
        return not any([await lag_of(rig.mall.redis, pool.pool_id) for pool in pools])

    await eventually(is_recorded)


async def _given_twice(rig: Rig, load: Load) -> dict[int, tuple[int, int, int]]:
    """Prize id → units, wins recorded, wins told and lost, where these are more than there were."""
    await _until_recorded(rig, load)
    recorded = await codes_of(rig.mall.postgres)
    lost = Counter(
        (kind, prize)
        for (kind, _), places in load.wins().items()
        for _, code, prize in places
        if code not in recorded
    )
    assert lost
    rows = await rig.mall.postgres.fetch(
        "SELECT id, goods_item_id, total_count, won_count FROM prizes"
    )
    found = {
        prize_id: (units, won, lost["order", item_id] if item_id else lost["draw", prize_id])
        for prize_id, item_id, units, won in rows
    }
    return {prize_id: of for prize_id, of in found.items() if sum(of[1:]) > of[0]}
