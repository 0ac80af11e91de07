"""The list of blocked users and addresses, put back from Postgres where Redis has lost it."""

from typing import Any

import asyncpg
import structlog
from redis.asyncio import Redis

from services.common.addresses import Network
from services.common.postgres import load_queries
from services.common.timestamps import ms_of
from services.pool.store.blocks import BlockList

log = structlog.get_logger()
_queries: Any = load_queries(__file__)


def open_blocks(postgres: asyncpg.Pool, redis: Redis) -> BlockList:
    """The list, which restores itself; a draw that needs Postgres for it is UNAVAILABLE without."""

    async def restore(run_id: str) -> None:
        async with postgres.acquire() as connection, connection.transaction():
            # Whoever sets a block holds this lock alone, until it is committed.
            await _queries.keep_blocks(connection)
            users: dict[int, int] = {}
            networks: dict[Network, int] = {}
            async for row in _queries.active_blocks(connection):
                until_ms = ms_of(row["until"]) if row["until"] else 0
                if row["user_id"] is None:
                    networks[row["network"]] = until_ms
                else:
                    users[row["user_id"]] = until_ms
            await blocks.put_back(users, networks, run_id)
        log.warning("block list restored", users=len(users), networks=len(networks))

    blocks = BlockList(redis, restore)
    return blocks
