"""A crowd of idle listeners: each hears what is won, and a reader of the list hardly notices."""

from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from tests.bench.listeners import PATIENCE_S, measured
from tests.contract.edge_rig import running_rig
from tests.support.history_process import history_process

LISTENERS = 500
SURPLUS = 100
# What half of its calls may take in relation to before; in seconds, tests/bench says it.
AT_MOST_TIMES = 50


async def test_listeners_do_not_slow_a_reader_of_the_list(
    tmp_path: Path, postgres: asyncpg.Pool, postgres_dsn: str, redis: Redis, redis_url: str
) -> None:
    """The surplus is refused; those let in hear it; the list is answered as it was before."""
    async with running_rig(tmp_path, missing="history") as rig:
        (address,) = rig.edge.upstreams["history"]
        async with history_process(address, postgres_dsn, redis_url, stream_listeners=LISTENERS):
            await rig.wait_for_health(200, PATIENCE_S)
            found = await measured(rig, postgres, redis, LISTENERS + SURPLUS, 10, 2)
    print(found)
    assert LISTENERS == found.opened
    assert 0 < found.heard <= found.wins * found.opened
    assert found.crowded_s[0] <= AT_MOST_TIMES * found.quiet_s[0]
