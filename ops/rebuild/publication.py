"""The last step of a rebuild: what remains of a pool, and its configuration, in one transaction."""

from dataclasses import replace
from typing import Any

from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from ops.rebuild.facts import RecordedPosition, Standing
from services.pool.configuration import config_of, document_of
from services.pool.marks.mark import MarkBounds
from services.pool.rule.clock import ANY_TIME
from services.pool.rule.terms import DAY_MS, ConfigureCode, PoolStatus
from services.pool.store.keys import CONFIG, RECORDED, REQUESTS, STATE, STOCK, key
from services.pool.store.layout import Known, StateField, pack_config
from services.pool.store.redis_store import configured_of
from services.pool.store.scripts import load_script


async def publish(
    redis: Redis,
    pool_id: int,
    recorded: RecordedPosition,
    standing: Standing,
    version: int,
    message: pool_pb2.PoolConfig,
) -> ConfigureCode:
    """
    Set what remains of a pool, and publish *message* over it.

    Args:
        redis: Has nothing of the pool that is drawn from.
        pool_id: The pool.
        recorded: The next draw comes after its seq, and every change after its mark's time.
        standing: What remains.
        version: Of *message*, newer than that of *standing*.
        message: The configuration.

    Returns:
        What the configure script says. Unless CONFIGURED, the pool is there, and closed.
    """
    script = load_script("configure")
    keys = [key(pool_id, name) for name in script.keys]
    packed, document = pack_config(version, config_of(message)), document_of(message)
    state = await _state(redis, recorded, standing)
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset(key(pool_id, STATE), mapping=state)
        if standing.left:
            pipe.hset(key(pool_id, STOCK), mapping={str(k): n for k, n in standing.left.items()})
        pipe.set(key(pool_id, RECORDED), recorded.seq)
        if standing.config is not None:
            pipe.set(key(pool_id, CONFIG), _closed(standing, standing.config))
        anything = Known(*MarkBounds().mark, MarkBounds().last_seq, *ANY_TIME).pack()
        arguments: list[Any] = [standing.version, version, packed, document, anything]
        pipe.eval(script.source, len(keys), *keys, *arguments)
        *_, reply = await pipe.execute()
    return configured_of(reply).code


async def now_ms(redis: Redis) -> int:
    """Unix milliseconds by Redis's clock, as the scripts have it."""
    seconds, microseconds = await redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


async def _state(redis: Redis, recorded: RecordedPosition, standing: Standing) -> dict[Any, Any]:
    today = await now_ms(redis) // DAY_MS
    return {
        StateField.SEQ: recorded.seq,
        StateField.CLOCK_US: max(recorded.mark.clock_us, standing.last_ms * 1000),
        StateField.VERSION: standing.version,
        StateField.REQ_DAY: today,
        StateField.REQ_HALF: today % len(REQUESTS),
        StateField.LAST_MS: standing.last_ms,
        StateField.LAST_USER: standing.last_user,
        StateField.CHAIN: standing.link,
    }


def _closed(standing: Standing, message: pool_pb2.PoolConfig) -> bytes:
    """The recorded configuration, not drawing: the next one opens the pool, if it is to be open."""
    config = config_of(message)
    status = PoolStatus.ENDED if config.status is PoolStatus.ENDED else PoolStatus.PAUSED
    prizes = tuple(replace(prize, units=standing.units[prize.prize_id]) for prize in config.prizes)
    return pack_config(standing.version, replace(config, status=status, prizes=prizes))
