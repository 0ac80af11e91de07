"""M11: what a whole stack costs while nobody draws: without pools, and with thousands."""

import asyncio
import time
from collections.abc import Mapping

import asyncpg
import httpx

from tests.bench import machine
from tests.bench.figures import Figure, Step
from tests.bench.scale import Scale
from tests.bench.servers import Bench, queries
from tests.support.edge import caller, log_in_admin
from tests.support.shop import open_shop
from tests.support.stacks import StackUnderTest, stack_home

GOAL_EMPTY = 3.0
GOAL_POOLS = 6.0
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
    """The two figures; a step for each."""
    del bench  # its servers are none of this stack's
    with stack_home() as home:
        stack = StackUnderTest(home)
        async with stack.running_beside():
            empty = await _use(stack, scale)
            step("M11 no pools")
            await _open_boxes(stack, scale.idle_pools)
            await _until_recorded(stack, scale.idle_pools)
            full = await _use(stack, scale)
            step(f"M11 {scale.idle_pools} pools")
    return [_figure(0, GOAL_EMPTY, empty), _figure(scale.idle_pools, GOAL_POOLS, full)]


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


async def _use(stack: StackUnderTest, scale: Scale) -> dict[str, float]:
    """CPU time by part, in percent of one core."""
    await asyncio.sleep(scale.idle_settle_s)
    pids = stack.pids()
    pids["supervisor"] = machine.parent(pids["draw"])
    before, began = _cpu_s(pids), time.monotonic()
    await asyncio.sleep(scale.idle_s)
    after, seconds = _cpu_s(pids), time.monotonic() - began
    return {part: 100 * (after[part] - before[part]) / seconds for part in pids}


def _cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    # Postgres is many processes; the supervisor's children are the other parts.
    return {
        part: machine.family_cpu_s(pid) if part == "postgres" else machine.cpu_s(pid)
        for part, pid in pids.items()
    }


def _figure(pools: int, goal: float, use: Mapping[str, float]) -> Figure:
    total = sum(use.values())
    return Figure(
        "M11",
        f"CPU of an idle stack with {pools:,} pools, all processes",
        f"{total:.1f} % of a core",
        "",
        None,
        f"≤ {goal:.0f} %",
        total <= goal,
        [", ".join(f"{part} {percent:.2f}" for part, percent in use.items())],
    )
