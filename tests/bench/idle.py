"""M11: what a whole stack uses while nobody draws: without pools, and with thousands."""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

import asyncpg
import httpx

from tests.bench import parts
from tests.bench.figures import Figure, Step
from tests.bench.scale import Scale
from tests.bench.servers import Bench, queries
from tests.support.edge import caller, log_in_admin
from tests.support.shop import open_shop
from tests.support.stacks import StackUnderTest

GOAL_EMPTY = 3.0
GOAL_POOLS = 6.0
GOAL_MIB = 900e6 / 2**20
_BOXES_A_CALL = 100
_BOXES_OF_GOODS = 1000
_CALL_TIMEOUT_S = 120.0
_OPENED_TIMEOUT_S = 600.0
_ITEMS = (
    {"title": "cup", "stock": 40},
    {"title": "bear", "stock": 9},
    {"title": "cat", "stock": 1},
)


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """The figures of both; a step for each."""
    async with bench.stack() as stack:
        empty = await _use(stack, scale)
        step("M11 no pools")
        await _open_boxes(stack, scale.idle_pools)
        await _until_recorded(stack, scale.idle_pools)
        full = await _use(stack, scale)
        step(f"M11 {scale.idle_pools} pools")
    return [*_figures(0, GOAL_EMPTY, empty), *_figures(scale.idle_pools, GOAL_POOLS, full)]


async def _open_boxes(stack: StackUnderTest, count: int) -> None:
    async with httpx.AsyncClient(base_url=stack.edge, timeout=_CALL_TIMEOUT_S) as http:
        token = await log_in_admin(http, stack.admin)
        while count:
            shop = await open_shop(http, token, "ichiban", *_ITEMS, boxes=1)
            count -= 1
            further = min(count, _BOXES_OF_GOODS - 1)
            for first in range(0, further, _BOXES_A_CALL):
                body = {"count": min(_BOXES_A_CALL, further - first)}
                path = f"/admin/api/goods/{shop.goods_id}/boxes"
                await caller(http, token)("POST", path, json=body)
            count -= further


async def _until_recorded(stack: StackUnderTest, pools: int) -> None:
    connection = await asyncpg.connect(stack.postgres)
    async with asyncio.timeout(_OPENED_TIMEOUT_S):
        while await queries.recorded_pools(connection) < pools:  # noqa: ASYNC110  # nothing tells us
            await asyncio.sleep(1)
    await connection.close()


class _Use(NamedTuple):
    """Of a stack in which nobody draws, by part."""

    percent: Mapping[str, float]  # of one core
    mib: Mapping[str, float]


async def _use(stack: StackUnderTest, scale: Scale) -> _Use:
    await asyncio.sleep(scale.idle_settle_s)
    pids = parts.pids_of(stack)
    before, began = parts.cpu_s(pids), time.monotonic()
    await asyncio.sleep(scale.idle_s)
    used, seconds = parts.used_since(pids, before), time.monotonic() - began
    percent = {part: 100 * part_s / seconds for part, part_s in used.items()}
    return _Use(percent, parts.memory_mib(pids))


def _figures(pools: int, goal: float, use: _Use) -> list[Figure]:
    return [
        _figure("CPU", pools, use.percent, "% of a core", goal, 2),
        _figure("memory", pools, use.mib, "MiB", GOAL_MIB, 0),
    ]


def _figure(
    what: str, pools: int, use: Mapping[str, float], unit: str, goal: float, digits: int
) -> Figure:
    total = sum(use.values())
    by_part = ", ".join(f"{part} {used:.{digits}f}" for part, used in use.items())
    return Figure(
        "M11",
        f"{what} of an idle stack with {pools:,} pools, all processes",
        f"{total:,.1f} {unit}",
        "",
        None,
        f"≤ {goal:.0f} {unit.partition(' ')[0]}",
        total <= goal,
        [f"{what}, {pools:,} pools: {by_part}"],
    )
