"""Redis's clock, set by a test: the scripts read the time from a key instead of from the server."""

from dataclasses import replace

from redis.asyncio import Redis

from services.pool.store.redis_store import RedisStore
from services.pool.store.scripts import Script

_CLOCK = "test:clock_us"
_TIME = "redis.call('TIME')"
_SET_TIME = f"""(function(at, set)
  at, set = {_TIME}, redis.call('GET', '{_CLOCK}')
  if not set then return at end
  return {{ math.floor(tonumber(set) / 1000000), math.fmod(tonumber(set), 1000000) }}
end)()"""


def with_set_clock(script: Script) -> Script:
    """*script*, which takes set_clock()'s time for the server's."""
    assert _TIME in script.source
    return replace(script, source=script.source.replace(_TIME, _SET_TIME))


def follow_set_clock(store: RedisStore) -> RedisStore:
    """Let *store* take set_clock()'s time for the server's."""
    for name, script in store._scripts.items():
        store._scripts[name] = with_set_clock(script)
    return store


async def set_clock(redis: Redis, us: int | None) -> None:
    """Let the server's clock stand at *us*, Unix microseconds; None: go on as it does."""
    if us is None:
        await redis.delete(_CLOCK)
    else:
        await redis.set(_CLOCK, us)
