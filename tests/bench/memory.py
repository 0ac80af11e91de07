"""M9: what a user who has drawn takes in Redis."""

from typing import Any

from tests.bench.bare_pool import BarePool, open_bare_pool
from tests.bench.figures import Figure, Step
from tests.bench.scale import Scale
from tests.bench.servers import Bench

GOAL_BYTES = 160
_BATCH = 200
_IN_FLIGHT = 2


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """The figure; one step."""
    async with open_bare_pool(bench) as pool:
        before = await _used_memory(pool)
        await pool.draw("memory", scale.users, scale.users, _BATCH, _IN_FLIGHT)
        used = await _used_memory(pool) - before
        state = await _memory_usage(pool, "users")
        replays = await _memory_usage(pool, "req:0") + await _memory_usage(pool, "req:1")
        ledger = await _memory_usage(pool, "ledger")
        users = await pool.redis.hlen(pool.key("users"))
    step("M9")
    a_user = (state + replays) / users
    return [
        Figure(
            "M9",
            f"Redis bytes per drawn user at {users:,}",
            f"{a_user:.0f} bytes",
            "",
            None,
            f"≤ {GOAL_BYTES}",
            a_user <= GOAL_BYTES,
            (
                f"state {state / users:.1f} + replay {replays / users:.1f} bytes",
                f"growth of used_memory less the ledger: {(used - ledger) / users:.1f} bytes",
                f"the ledger until it is trimmed: {ledger / users:.1f} bytes a draw",
            ),
        )
    ]


async def _used_memory(pool: BarePool) -> int:
    memory: dict[str, Any] = await pool.redis.info("memory")
    return int(memory["used_memory"])


async def _memory_usage(pool: BarePool, name: str) -> int:
    return int(await pool.redis.memory_usage(pool.key(name), samples=0) or 0)
