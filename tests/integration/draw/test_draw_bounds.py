"""The bounds: draws are shed before anything breaks, and flow again by themselves."""

import pytest
from redis.asyncio import Redis

from services.common.errors import OverloadedError
from services.draw.guard import MemoryGuard
from services.pool.rule.terms import ConfigureCode, DrawCode
from services.pool.store.keys import key
from services.pool.store.redis_store import RedisStore
from tests.support.draws import intent, odds
from tests.support.history import eventually

POOL = 1


async def _answers(store: RedisStore, *request_ids: str) -> list[DrawCode]:
    drawing = await store.draw(POOL, [intent(1, request_id) for request_id in request_ids])
    return [answer.code for answer in drawing.answers]


async def test_draws_are_shed_when_the_recorder_falls_behind_and_flow_when_it_catches_up(
    redis: Redis,
) -> None:
    """Past the backlog's bound a draw is refused, a retry still finds its result."""
    store = RedisStore(redis, max_backlog=3)
    configured = await store.configure(POOL, 0, 1, odds((100, 10**9)), "{}")
    assert ConfigureCode.CONFIGURED == configured.code
    assert [DrawCode.DRAWN] * 3 == await _answers(store, "a", "b", "c")
    assert [DrawCode.BACKLOG, DrawCode.REPLAYED] == await _answers(store, "d", "a")
    await redis.set(key(POOL, "recorded"), 1)  # as the recorder does after a commit
    assert [DrawCode.DRAWN] == await _answers(store, "d")
    assert [DrawCode.BACKLOG] == await _answers(store, "e")


async def test_guard_sheds_when_the_store_is_full_and_lets_go_when_it_is_not(redis: Redis) -> None:
    """Memory past the line refuses draws before they reach the store; below it they flow."""
    used = int((await redis.info("memory"))["used_memory"])
    guard = MemoryGuard(redis, max_bytes=used + 20_000_000)
    await guard.look()
    guard.check()
    await redis.set("filling", bytes(40_000_000))
    await guard.look()
    with pytest.raises(OverloadedError):
        guard.check()
    await redis.delete("filling")

    async def flows() -> bool:
        await guard.look()
        return not guard.is_full

    await eventually(flows)  # the store gives buffers back a moment later
    guard.check()


async def test_guard_takes_nine_tenths_of_the_stores_own_bound(redis: Redis) -> None:
    """Without a line of ours, the store's maxmemory sets it."""
    used = int((await redis.info("memory"))["used_memory"])
    before = (await redis.config_get("maxmemory"))["maxmemory"] or "0"
    guard = MemoryGuard(redis, max_bytes=0)
    try:
        await redis.config_set("maxmemory", 10 * used)
        await guard.look()
        guard.check()
        await redis.config_set("maxmemory", 1000)
        await guard.look()
        with pytest.raises(OverloadedError):
            guard.check()
    finally:
        await redis.config_set("maxmemory", before)
