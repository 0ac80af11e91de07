"""Units that were held back, given back to their pool: they can be won from the next draw on."""

import asyncpg
from redis.asyncio import Redis

from ops.rebuild import facts, holds
from ops.rebuild.wanted import wanted
from services.admin.for_operators import KUJI, AuditRecord, Rows
from services.common.postgres import Connection
from services.pool.configuration import config_of, document_of
from services.pool.rule.terms import ConfigureCode, Configured
from services.pool.store.redis_store import RedisStore

_REFUSALS = {
    ConfigureCode.NOT_LOADED: "Redis does not hold it; rebuild it first",
    ConfigureCode.CONFLICT: "it is being changed, or its recorder is behind; try again",
    ConfigureCode.CLOCK_OFF: "Redis's clock is off",
}


class ReleaseError(Exception):
    """Nothing was given back; the message says why."""


async def release(
    postgres: asyncpg.Pool, redis: Redis, pool_id: int, operator: str, keep: holds.Held
) -> holds.Held:
    """
    Give back what a pool holds back; what it was. Nothing: nothing is done.

    Like every change of a pool it is published in the middle of a transaction: if that is lost
    afterwards, the recorder brings Postgres up to the ledger.

    Args:
        operator: For the audit log.
        keep: Prize id → units that stay held back: handed out by hand, for example.

    Raises:
        ReleaseError: The pool's live configuration is not the newest in Postgres, or not there.
    """
    async with postgres.acquire() as connection, connection.transaction():
        recorded = await facts.lock(connection, pool_id)
        back = await holds.release(connection, pool_id, keep)
        if back:
            detail = {"released_units": back, "operator": operator}
            record = AuditRecord(KUJI, "pool.release", f"pool:{pool_id}", detail)
            await Rows(connection).add_audit(record)
            await _publish(connection, RedisStore(redis, max_backlog=0), pool_id, recorded)
        return back


async def _publish(
    connection: Connection, store: RedisStore, pool_id: int, recorded: facts.RecordedPosition
) -> None:
    standing = await facts.standing(connection, pool_id)
    message = await wanted(connection, pool_id, recorded, standing)
    holds.holding(message, await holds.held_in(connection, pool_id))
    message.cause = f"release:{recorded.version}"
    version = await Rows(connection).next_version()
    done = await store.configure(
        pool_id, recorded.version, version, config_of(message), document_of(message)
    )
    if done.code is not ConfigureCode.CONFIGURED:
        raise ReleaseError(f"Pool {pool_id}: {_why(done)}")
    await Rows(connection).set_pool_version(pool_id, version)
    await holds.raise_mark(connection, pool_id, done.clock_us)


def _why(refused: Configured) -> str:
    return _REFUSALS.get(refused.code, refused.code.name.lower())
