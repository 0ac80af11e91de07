"""Draws of a lottery with nothing left to be won: one table for both engines."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.pool.rule.selection import PPB
from services.pool.rule.terms import NO_TICKET, DrawCode, PoolConfig
from services.pool.store.redis_store import RedisStore
from tests.support.draws import NO_BACKLOG_BOUND, MemoryStore, intent, odds

POOL = 1
MOST = 3
DRAWN, REPLAYED, NOTHING = DrawCode.DRAWN, DrawCode.REPLAYED, DrawCode.NOTHING_TO_WIN
Store = MemoryStore | RedisStore


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis: Redis) -> AsyncIterator[Store]:
    """A store that lets users draw late so often."""
    if request.param == "redis":
        yield RedisStore(redis, NO_BACKLOG_BOUND, late_draws=MOST)
        return
    memory = MemoryStore()
    memory.pool(POOL).most_late = MOST
    yield memory


async def _draw(store: Store, *names: str, by_service: bool = False) -> list[DrawCode]:
    """What becomes of a user's draws of these names, in one batch."""
    ticket = None if by_service else NO_TICKET
    intents = [intent(1, name)._replace(draw_ticket=ticket) for name in names]
    return [answer.code for answer in (await store.draw(POOL, intents)).answers]


async def _configure(store: Store, version: int, config: PoolConfig) -> None:
    await store.configure(POOL, version - 1, version, config, "{}")


async def test_so_many_late_draws_are_made_and_no_more(store: Store) -> None:
    """Of users; a service's are made always, and what was drawn is found for ever."""
    await _configure(store, 1, odds((2, PPB)))
    assert [DRAWN] * 4 == await _draw(store, "win", "win too", "late", "late too")
    assert [DRAWN, NOTHING, NOTHING] == await _draw(store, "last", "beyond", "and so on")
    assert [DRAWN] * 2 == await _draw(store, "paid", "paid too", by_service=True)
    assert [REPLAYED, REPLAYED, NOTHING] == await _draw(store, "win", "last", "beyond")
    live = await store.inspect(POOL)
    assert live is not None
    assert 7 == live.seq


async def test_restock_opens_the_lottery_and_counts_anew(store: Store) -> None:
    """Who was told that nothing is left may win by the same request id."""
    await _configure(store, 1, odds((1, PPB)))
    assert [DRAWN] * 4 + [NOTHING] == await _draw(store, "a", "b", "c", "d", "e")
    await _configure(store, 2, odds((2, PPB)))
    assert [DRAWN] * 4 + [NOTHING] == await _draw(store, "e", "f", "g", "h", "i")


async def test_lottery_that_nobody_could_win_is_not_sold_out(store: Store) -> None:
    """Its draws are misses, however many."""
    await _configure(store, 1, odds((5, 0)))
    assert [DRAWN] * 6 == await _draw(store, *"abcdef")


async def test_store_says_when_users_draw_no_more(redis: Redis) -> None:
    """So the edge may answer for them: not before the last late draw is made."""
    store = RedisStore(redis, NO_BACKLOG_BOUND, late_draws=1)
    await _configure(store, 1, odds((1, PPB)))
    said = []
    for name in ("win", "late", "beyond"):
        await _draw(store, name)
        live = await store.inspect(POOL)
        assert live is not None
        said.append(live.nothing_to_win)
    assert [False, True, True] == said
