"""The draw script writes the ledger, the recorder reads it: both mean the same."""

import asyncpg
from google.protobuf import json_format
from redis.asyncio import Redis

from services.pool.configuration import config_of
from services.pool.rule.prize_code import prize_code
from services.pool.rule.terms import DrawCode
from services.pool.store.redis_store import RedisStore
from tests.support.blindbox import ItemSpec, insert_goods
from tests.support.draws import NO_BACKLOG_BOUND, intent
from tests.support.history import books, eventually, make_users, next_version, recording

POOL_ID = 7


async def test_every_answer_of_the_draw_script_is_recorded_as_answered(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A box bought empty, last prize included: each row is what its buyer was told."""
    users = await make_users(postgres, 4)
    last_prize = ItemSpec(stock=1, is_last_prize=True)
    shelf = await insert_goods(postgres, ItemSpec(stock=6), ItemSpec(stock=6), last_prize)
    box = await shelf.open_box(POOL_ID, b"\1" * 32)
    for user in users:
        await shelf.order(box, f"{user}", user, 3)
    store = RedisStore(redis, NO_BACKLOG_BOUND)
    version = await next_version(postgres)
    await store.configure(
        POOL_ID, 0, version, config_of(box.config), json_format.MessageToJson(box.config)
    )
    intents = [intent(user, f"order:{user}", draws=3, pool_id=POOL_ID) for user in users]
    drawing = await store.draw(POOL_ID, intents)
    assert [DrawCode.DRAWN] * 4 == [answer.code for answer in drawing.answers]
    told = [
        (user, drawn.prize_id, drawn.ticket, drawn.weight, drawn.total, drawn.code_bytes)
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
        (*outcome, prize_code(POOL_ID, seq, code_bytes), "A mug")
        for seq, (*outcome, code_bytes) in enumerate(told, 1)
    ] == [tuple(row) for row in rows]
