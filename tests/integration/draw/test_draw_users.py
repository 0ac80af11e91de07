"""Services draw for whom they name; where users are required, only for those who exist."""

from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis

from tests.support.admin import failure
from tests.support.draw_service import open_world, told
from tests.support.history import make_users
from tests.support.proxy import proxying

NOBODY = 1 << 52
SURE = 1_000_000_000


async def test_stranger_draws_where_users_are_not_required(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """E6: the service that names a user answers for it."""
    async with open_world(postgres, postgres_dsn, redis_url) as world:
        activity = await world.activity((50, SURE))
        (outcome,) = await world.service().batch((activity.activity_id, NOBODY, "a"))
        assert f"{activity.pool_id}-1" == told(outcome)


async def test_stranger_draws_nothing_where_users_are_required(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """E6: NOT_FOUND for the stranger alone; without Postgres those found before draw on."""
    server = urlsplit(postgres_dsn)
    async with (
        proxying(str(server.hostname), int(server.port or 0)) as gate,
        open_world(postgres, gate.instead_of(postgres_dsn), redis_url, require_users=True) as world,
    ):
        activity = await world.activity((50, SURE))
        one, two = await make_users(postgres, 2)
        service, number = world.service(), activity.activity_id
        outcomes = await service.batch((number, NOBODY, "a"), (number, one, "a"), (0, one, "a"))
        assert ["NOT_FOUND", f"{activity.pool_id}-1", "INVALID_ARGUMENT"] == [
            told(outcome) for outcome in outcomes
        ]
        assert "NOT_FOUND" == (await failure(service.draw(number, "b", user_id=NOBODY)))[0]
        await gate.refuse()
        outcomes = await service.batch((number, two, "a"), (number, one, "b"))
        assert ["UNAVAILABLE", f"{activity.pool_id}-2"] == [told(outcome) for outcome in outcomes]
        gate.resume()
        assert 48 == (await world.left(activity))[0]
