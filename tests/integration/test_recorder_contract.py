"""The draw script writes the ledger, the recorder reads it: both mean the same."""

import asyncpg
from google.protobuf import json_format
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.prize_code import prize_code
from services.draw.redis_store import RedisStore
from services.draw.store import DrawCode
from tests.support.draws import NO_BACKLOG_BOUND, intent, tickets
from tests.support.history import books, eventually, make_users, next_version, recording

POOL_ID = 7


async def test_every_answer_of_the_draw_script_is_recorded_as_answered(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A box bought empty, last prize included: each row is what its buyer was told."""
    users = await make_users(postgres, 4)
    document = pool_pb2.PoolConfig(
        mode=pool_pb2.POOL_MODE_TICKETS,
        status=pool_pb2.POOL_STATUS_OPEN,
        prizes=[pool_pb2.PoolPrize(prize_id=id_, name=f"Prize {id_}") for id_ in (1, 2, 99)],
    )
    await postgres.execute(
        "INSERT INTO pools (id, mode, seed_commitment) VALUES ($1, 'tickets', $2)",
        POOL_ID,
        b"\1" * 32,
    )
    store = RedisStore(redis, NO_BACKLOG_BOUND)
    version = await next_version(postgres)
    await store.configure(
        POOL_ID, 0, version, tickets(6, 6, last_prize=True), json_format.MessageToJson(document)
    )
    intents = [intent(user, "r", draws=3, pool_id=POOL_ID) for user in users]
    drawing = await store.draw(POOL_ID, intents)
    assert [DrawCode.DRAWN] * 4 == [answer.code for answer in drawing.answers]
    told = [
        (user, drawn.prize_id, drawn.ticket, drawn.weight, drawn.total, drawn.tag)
        for user, answer in zip(users, drawing.answers, strict=True)
        for drawn in answer.draws
    ]
    assert 13 == len(told)

    async def is_recorded() -> bool:
        return (await books(postgres, POOL_ID)).counters == (13, 13, 4, 13)

    async with recording(postgres_dsn, redis_url):
        await eventually(is_recorded)
    rows = await postgres.fetch(
        "SELECT r.user_id, r.prize_id, r.ticket, r.odds_weight, r.odds_total, w.prize_code,"
        " r.prize_name FROM lottery_records AS r JOIN winners AS w USING (pool_id, seq)"
        " ORDER BY r.seq"
    )
    assert [
        (*outcome, prize_code(POOL_ID, seq, tag), f"Prize {outcome[1]}")
        for seq, (*outcome, tag) in enumerate(told, 1)
    ] == [tuple(row) for row in rows]
