"""
Measures what it costs to mark what was answered in a file, before its answers leave.

    .venv/bin/python -m tests.bench.marks [rounds] [seconds of a window]

One batcher in this process draws from one pool in a Valkey of its own (appendfsync always), with
and without a folder of marks in turn, A B A B. Prints the medians of draws a second and of this
process's CPU a draw, for 64 callers of one draw each and for 8 of a hundred. Takes no part in
`make test`.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

import asyncpg
from redis.asyncio import Redis

from services.draw.batcher import Batcher
from services.pool.marks.files import MarkFolder
from services.pool.marks.keeper import MarkKeeper, tell_while_running
from services.pool.marks.records import MarkRecords
from services.pool.rule.selection import PPB
from services.pool.rule.terms import Intent
from services.pool.store.redis_store import RedisStore
from tests.bench.scale import FULL
from tests.bench.servers import open_bench
from tests.support.draws import NO_BACKLOG_BOUND, intent, odds

_DATABASE = 14
_SHAPES = ((64, 1), (8, 100))  # callers at once, draws of each call


class _Window(NamedTuple):
    draws_per_s: float
    cpu_us: float


@asynccontextmanager
async def _batcher(
    redis: Redis, postgres: asyncpg.Pool, folder: Path | None, pool_id: int
) -> AsyncIterator[Batcher]:
    marks = MarkFolder(folder) if folder is not None else None
    keeper = MarkKeeper(MarkRecords(postgres), marks, settle_s=0)
    store = RedisStore(redis, NO_BACKLOG_BOUND, witness=keeper)
    telling = asyncio.create_task(tell_while_running(keeper, every_s=0.2))
    batcher = Batcher(store, 400, 20_000, keeper.sealed)
    await store.configure(pool_id, 0, 1, odds((1_000_000, PPB // 10)), "{}")
    yield batcher
    telling.cancel()
    await batcher.close()
    await keeper.close()


async def _window(
    batcher: Batcher, pool_id: int, shape: tuple[int, int], seconds: float
) -> _Window:
    callers, size = shape
    names, drawn = count(1), 0
    cpu, began = time.process_time(), time.monotonic()

    async def draw() -> None:
        nonlocal drawn
        while time.monotonic() < began + seconds:
            await batcher.draw(pool_id, _intents(next(names), size, pool_id))
            drawn += size

    await asyncio.gather(*(draw() for _ in range(callers)))
    return _Window(
        drawn / (time.monotonic() - began), (time.process_time() - cpu) / drawn * 1_000_000
    )


def _intents(call: int, size: int, pool_id: int) -> list[Intent]:
    return [intent(user, f"r{call}", pool_id=pool_id) for user in range(1, size + 1)]


async def _measure(rounds: int, seconds: float) -> None:
    async with open_bench(FULL) as bench:
        dsn = await bench.new_database("marks")
        with tempfile.TemporaryDirectory(prefix="kuji-bench-marks-") as name:
            async with (
                asyncpg.create_pool(dsn, min_size=0) as postgres,
                Redis.from_url(f"{bench.redis_server}/{_DATABASE}") as redis,
            ):
                for shape in _SHAPES:
                    await _compare(redis, postgres, Path(name), shape, rounds, seconds)


async def _compare(
    redis: Redis,
    postgres: asyncpg.Pool,
    folder: Path,
    shape: tuple[int, int],
    rounds: int,
    seconds: float,
) -> None:
    windows: dict[bool, list[_Window]] = {False: [], True: []}
    for number in range(2 * rounds):
        with_marks, pool_id = bool(number % 2), shape[1] * 1000 + number
        marks = folder if with_marks else None
        async with _batcher(redis, postgres, marks, pool_id) as batcher:
            windows[with_marks].append(await _window(batcher, pool_id, shape, seconds))
    callers, size = shape
    for with_marks, found in windows.items():
        rates, cpu = zip(*found, strict=True)
        said = "with marks" if with_marks else "without"
        print(
            f"{callers} callers of {size}, {said}: {median(rates):,.0f} draws/s "
            f"({min(rates):,.0f}–{max(rates):,.0f}), {median(cpu):.1f} us of CPU a draw"
        )


def _argument(place: int, default: float) -> float:
    return float(sys.argv[place]) if len(sys.argv) > place else default


if __name__ == "__main__":
    asyncio.run(_measure(int(_argument(1, 5)), _argument(2, 4.0)))
