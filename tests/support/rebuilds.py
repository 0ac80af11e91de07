"""Pools lost with Redis and brought back, and what they are then."""

from typing import Any

import asyncpg
import msgpack
from redis.asyncio import Redis

from ops.rebuild.rebuilder import Outcome, Rebuilder
from services.draw.confirmation import Confirmer
from services.draw.made import MadeDraws
from services.pool.books.collector import Auditor
from services.pool.books.findings import Finding
from services.pool.store.keys import BLOCKED_NETWORKS, BLOCKS, key
from tests.support.ledgers import Campaign


def past_draws(postgres: asyncpg.Pool, redis: Redis) -> MadeDraws:
    """Reads past draws; none of the pools here has its wins confirmed."""
    return MadeDraws(postgres, redis, Confirmer(postgres, redis, patience_s=1, max_waiting=1000))


async def rebuild(campaign: Campaign) -> Outcome:
    """Bring the campaign's pool back."""
    return await Rebuilder(campaign.postgres, campaign.redis).rebuild(
        campaign.pool_id, lambda _: None
    )


async def lose_and_rebuild(campaign: Campaign) -> None:
    """Lose all of Redis, and bring the campaign's pool back."""
    await campaign.redis.flushall()
    assert Outcome.REBUILT == await rebuild(campaign)


async def findings(campaign: Campaign) -> list[Finding]:
    """What does not add up in the campaign's pool and in the winner list."""
    auditor = Auditor(campaign.postgres, campaign.redis)
    return [*(await auditor.audit_pool(campaign.pool_id) or []), *await auditor.audit_winner_list()]


async def memory(campaign: Campaign) -> dict[str, Any]:
    """What decides a draw: all of a pool but its seq, its versions and its ledger."""

    async def unpacked(name: str) -> dict[bytes, Any]:
        fields: Any = await campaign.redis.hgetall(key(campaign.pool_id, name))
        return {
            field: msgpack.unpackb(value, strict_map_key=False) or {}
            for field, value in fields.items()
        }

    users = await unpacked("users")
    packed: Any = await campaign.redis.get(key(campaign.pool_id, "config"))
    state: Any = await campaign.redis.hgetall(key(campaign.pool_id, "state"))
    blocked = await campaign.redis.hgetall(BLOCKS)
    for mark in (b"loaded", b"networks"):  # another name each time the list is put back
        blocked.pop(mark, None)
    return {
        # Lua writes an empty map as an empty list.
        "users": {user: [*counts, wins or {}] for user, (*counts, wins) in users.items()},
        "requests": [await unpacked("req:0"), await unpacked("req:1")],
        "stock": await campaign.redis.hgetall(key(campaign.pool_id, "stock")),
        "blocked": [blocked, await campaign.redis.hgetall(BLOCKED_NETWORKS)],
        "config": msgpack.unpackb(packed)[1:],
        "days": (state[b"req_day"], state[b"last_ms"]),
    }
