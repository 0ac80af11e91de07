"""References A and A2: a draw is one transaction of Postgres."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI, HTTPException

from services.common.postgres import load_queries
from tests.bench.references.api import (
    PATH,
    Answer,
    Caller,
    Chance,
    Wanted,
    answer,
    choose,
    settings,
)

queries = load_queries(__file__)

Insert = Callable[[asyncpg.pool.PoolConnectionProxy, int, int, Chance | None], Awaitable[Any]]


def application(insert: Insert) -> FastAPI:
    """A lottery whose units are taken by *insert*, which records the draw."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        count = settings.connections
        async with asyncpg.create_pool(
            settings.postgres_dsn, min_size=count, max_size=count
        ) as app.state.postgres:
            yield

    app = FastAPI(lifespan=running)

    @app.post(PATH)
    async def draw(wanted: Wanted, user_id: Caller) -> Answer:
        activity_id = wanted.activity_id
        async with app.state.postgres.acquire() as connection, connection.transaction():
            if not await queries.count_draw(connection, activity_id=activity_id, user_id=user_id):
                raise HTTPException(429, "QUOTA_SPENT")
            rows = queries.list_chances(connection, activity_id=activity_id)
            prize = choose([Chance.model_construct(**row) async for row in rows])
            record = await insert(connection, activity_id, user_id, prize)
        return answer(record["id"], prize if record["prize_id"] else None)

    return app
