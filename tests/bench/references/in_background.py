"""Reference B: a draw is one script of Redis, and its record is inserted in the background."""

import datetime as dt
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgpack
from fastapi import BackgroundTasks, FastAPI, HTTPException
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.common.postgres import load_queries
from tests.bench.references.api import PATH, Answer, Caller, Chance, Wanted, answer, settings

queries = load_queries(__file__)
_SCRIPT = Path(__file__).with_name("draw.lua").read_text("utf-8")
_PPB = 1_000_000_000
_DRAWN = 1
_TIMEOUT_S = 60.0


class _Stores:
    """Its connections, its script, and the names of prizes, which never change."""

    def __init__(self, redis: Redis, postgres: asyncpg.Pool) -> None:
        self.redis = redis
        self.postgres = postgres
        self.script = redis.register_script(_SCRIPT)
        self._names: dict[int, dict[int, str]] = {}

    async def draw(self, activity_id: int, user_id: int) -> tuple[int, int, int]:
        """The script's answer."""
        now = time.time()
        day = dt.datetime.fromtimestamp(now, dt.UTC).date().isoformat()
        code, number, prize_id = await self.script(
            keys=keys(activity_id),
            args=[user_id, secrets.randbelow(_PPB), day, int(now * 1000)],
        )
        return code, number, prize_id

    async def prize(self, activity_id: int, prize_id: int) -> Chance | None:
        """The prize of that id; None: a miss."""
        if not prize_id:
            return None
        if activity_id not in self._names:
            packed = await self.redis.hget(keys(activity_id)[0], "names")
            self._names[activity_id] = msgpack.unpackb(packed, strict_map_key=False)
        name = self._names[activity_id][prize_id]
        return Chance.model_construct(prize_id=prize_id, name=name)

    async def record(
        self, draw_id: int, activity_id: int, user_id: int, prize: Chance | None
    ) -> None:
        """Write the draw down."""
        await queries.insert_record(
            self.postgres,
            draw_id=draw_id,
            activity_id=activity_id,
            user_id=user_id,
            prize_id=prize.prize_id if prize else None,
            prize_name=prize.name if prize else None,
        )


def keys(activity_id: int) -> list[str]:
    """Those of the script."""
    return [f"activity:{activity_id}", f"units:{activity_id}", f"users:{activity_id}", "draws"]


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    count = settings.connections
    connections = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=count,
        timeout=_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # a script that is called again draws again
    )
    async with (
        asyncpg.create_pool(settings.postgres_dsn, min_size=count, max_size=count) as postgres,
        Redis(connection_pool=connections) as redis,
    ):
        app.state.stores = _Stores(redis, postgres)
        yield


app = FastAPI(lifespan=_running)


@app.post(PATH)
async def draw(wanted: Wanted, user_id: Caller, later: BackgroundTasks) -> Answer:
    """One draw."""
    stores: _Stores = app.state.stores
    code, number, prize_id = await stores.draw(wanted.activity_id, user_id)
    if code != _DRAWN:
        raise HTTPException(429, "QUOTA_SPENT")
    prize = await stores.prize(wanted.activity_id, prize_id)
    later.add_task(stores.record, number, wanted.activity_id, user_id, prize)
    return answer(number, prize)
