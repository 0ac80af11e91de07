"""Blind boxes lost with Redis and rebuilt: no ticket, order or protection is forgotten."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from google.protobuf import json_format
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from ops.rebuild.rebuilder import GAP_DRAWS, Outcome, Rebuilder
from services.common.orders import draw_request_id
from services.pool.books.collector import Auditor
from services.pool.marks.records import ROOM
from services.pool.rule.fairness import request_digest
from services.pool.rule.terms import DrawCode, PoolStatus, Voided
from services.pool.store.keys import key
from tests.support.blindbox import ItemSpec
from tests.support.blindbox_draw import drew, open_mall
from tests.support.boxes import LAST_PRIZE, BoxCampaign, open_box
from tests.support.command import run_kuji
from tests.support.history import eventually
from tests.support.ledgers import ENDED, PAUSED
from tests.support.rebuilds import findings, lose_and_rebuild, memory, past_draws, rebuild

_HOUR_MS = 3_600_000


async def _ichiban(postgres: asyncpg.Pool, redis: Redis) -> BoxCampaign:
    """10 of 14 tickets drawn, and a last prize to come."""
    items = [ItemSpec(4), ItemSpec(10, shang=1), LAST_PRIZE]
    box = await open_box(postgres, redis, *items, protection_ms=_HOUR_MS)
    await box.buy((1, "a", 4), (1, "b"))
    box.config.protection_ms = 0
    await box.publish()
    await box.buy((2, "c", 5))
    await _give_up(box, 3, "d", 9)
    return box


async def _infinite(postgres: asyncpg.Pool, redis: Redis) -> BoxCampaign:
    """Unlimited items and one of 30 units, of which some are drawn."""
    items = [ItemSpec(None, 50), ItemSpec(30, 20, shang=1), ItemSpec(None, 9)]
    box = await open_box(postgres, redis, *items, kind="infinite")
    await box.buy((1, "i-a", 40), (2, "i-b", 20))
    await box.buy((1, "i-c", 100))
    return box


async def _give_up(box: BoxCampaign, user_id: int, order_num: str, count: int) -> Voided:
    """An order that was refused, and so released; what its request id had drawn before."""
    await box.reserve(user_id, order_num, count)
    digest = request_digest(user_id, draw_request_id(order_num, 1))
    voided = await box.store.void(box.pool_id, digest, count)
    await box.execute(
        "UPDATE orders SET status = 'released', refusal = 'SOLD_OUT'"
        " WHERE pool_id = $1 AND order_num = $2",
        order_num,
    )
    assert voided is not None
    return voided


@pytest.mark.parametrize("opened", [_ichiban, _infinite])
async def test_rebuild_restores_all_that_decides_a_draw_of_a_box(
    postgres: asyncpg.Pool,
    redis: Redis,
    opened: Callable[[asyncpg.Pool, Redis], Awaitable[BoxCampaign]],
) -> None:
    """Stock without end and with one, users, orders drawn and given up, and the last buyer."""
    box = await opened(postgres, redis)
    await postgres.execute(
        "INSERT INTO blocks (user_id, reason, created_by) VALUES (7, 'a bot', 1)"
    )
    await box.store.blocks.set(7, 0)
    await box.record()
    before, last_user = await memory(box), await _last_user(box)
    await lose_and_rebuild(box)
    assert (before, last_user) == (await memory(box), await _last_user(box))
    assert [] == await findings(box)


async def _last_user(box: BoxCampaign) -> Any:
    return await box.redis.hget(key(box.pool_id, "state"), "last_user")


async def test_box_sells_out_with_one_last_prize_when_it_was_rebuilt_on_the_way(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """The tickets left come, the last one with the last prize, and none after it."""
    box = await _ichiban(postgres, redis)
    await box.record()
    await lose_and_rebuild(box)
    (sold_out,) = await box.ask(await box.reserve(3, "e", 5))
    assert (DrawCode.SOLD_OUT, 4) == (sold_out.code, sold_out.detail)
    (bought,) = await box.buy((3, "f", 4))
    assert (10 + GAP_DRAWS + 1, 5) == (bought.first_seq, bought.places)
    assert [box.prize_ids[2]] == [
        drawn.prize_id for drawn in bought.draws if drawn.prize_id == box.prize_ids[2]
    ]
    await box.record()
    await lose_and_rebuild(box)
    (nothing,) = await box.ask(await box.reserve(3, "g"))
    assert (DrawCode.SOLD_OUT, 0) == (nothing.code, nothing.detail)
    await box.record()
    assert ([], 15) == (await findings(box), await box.verify())


async def test_protection_holds_when_redis_was_rebuilt(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """The box stays its last buyer's, for no longer than before."""
    box = await open_box(postgres, redis, ItemSpec(20), protection_ms=_HOUR_MS)
    await box.buy((1, "a"), (1, "b", 2))
    before = (await box.ask(await box.reserve(2, "c")))[0].detail
    await box.record()
    await lose_and_rebuild(box)
    (refused,) = await box.ask((2, draw_request_id("c", 1)))
    assert DrawCode.PROTECTED == refused.code
    assert 0 < refused.detail <= before
    await box.buy((1, "d"))
    await box.record()
    assert ([], 4) == (await findings(box), await box.verify())


async def test_late_retry_of_an_order_finds_its_draw_when_redis_was_rebuilt(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """The same order gives the same items; one that was given up gives nothing."""
    box = await _ichiban(postgres, redis)
    await box.record()
    await lose_and_rebuild(box)
    drawn, given_up = await box.ask(
        (2, draw_request_id("c", 1), 5), (3, draw_request_id("d", 1), 9)
    )
    assert (DrawCode.REPLAYED, 6, 5) == (drawn.code, drawn.first_seq, drawn.places)
    assert DrawCode.VOID == given_up.code
    past = await past_draws(postgres, redis).read(box.pool_id, 6, 5)
    rows = await postgres.fetch(
        "SELECT seq, prize_code, luck_no FROM order_items WHERE pool_id = $1 AND seq >= 6"
        " ORDER BY seq",
        box.pool_id,
    )
    assert [tuple(row) for row in rows] == [(d.seq, d.prize_code, d.ticket + 1) for d in past]


async def test_attempt_that_was_given_up_draws_nothing_when_a_later_one_is_under_way(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Of an order's attempts, only the newest may still draw."""
    box = await _ichiban(postgres, redis)
    await box.execute(
        "UPDATE orders SET status = 'reserved', refusal = '', attempt = 3, draw_request_id = $2"
        " WHERE pool_id = $1 AND order_num = 'd'",
        draw_request_id("d", 3),
    )
    await box.record()
    await lose_and_rebuild(box)
    wishes = [(3, draw_request_id("d", attempt), 2) for attempt in (1, 2, 3)]
    codes = [answer.code for answer in await box.ask(*wishes)]
    assert [DrawCode.VOID, DrawCode.VOID, DrawCode.DRAWN] == codes


async def test_order_draws_anew_when_its_draw_was_lost_before_it_was_recorded(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """An order that was told what it drew is reserved again, and draws once more."""
    box = await _ichiban(postgres, redis)
    await box.record()
    await box.buy((5, "told", 2))
    await box.execute(
        "UPDATE orders SET status = 'drawn', first_seq = 11, places = 2"
        " WHERE pool_id = $1 AND order_num = 'told'"
    )
    await lose_and_rebuild(box)
    status = "SELECT status FROM orders WHERE pool_id = $1 AND order_num = $2"
    assert ["reserved", "drawn"] == [await box.fetchval(status, name) for name in ("told", "c")]
    (answer,) = await box.ask((5, draw_request_id("told", 1), 2))
    assert (DrawCode.DRAWN, 10 + GAP_DRAWS + 1) == (answer.code, answer.first_seq)
    await box.record()
    assert "drawn" == await box.fetchval(status, "told")
    assert ([], 12) == (await findings(box), await box.verify())


async def test_shop_that_sends_its_orders_again_is_served_when_redis_was_rebuilt(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """
    What is recorded is given again; what went down with Redis is drawn anew, to be recorded, while
    the units that it may have had before are held back.
    """
    async with open_mall(redis, postgres, postgres_dsn, redis_url) as mall:
        box, shop = await mall.box(ItemSpec(20), LAST_PRIZE), mall.shop()
        kept = await shop.order(box, "kept", count=3)
        await mall.record(box)
        lost = await shop.order(box, "lost", count=2)
        assert "drawn" == await mall.status("lost")

        async def is_marked() -> bool:
            query = "SELECT seq = 5 FROM pool_marks WHERE pool_id = $1"
            return bool(await postgres.fetchval(query, box.pool_id))

        await eventually(is_marked)
        await redis.flushall()
        rebuilder = Rebuilder(postgres, redis)
        assert Outcome.REBUILT == await rebuilder.rebuild(box.pool_id, lambda _: None)
        assert "reserved" == await mall.status("lost")
        assert kept == await shop.order(box, "kept", count=3)
        again = await shop.order(box, "lost", count=2)
        assert lost.order_id == again.order_id
        first_seq = ROOM + 1  # past all ids that were reserved
        assert [f"{box.pool_id}-{seq}" for seq in (first_seq, first_seq + 1)] == drew(again)
        assert [13, 0] == await mall.left(box)
        await mall.record(box)
        assert [] == await Auditor(postgres, redis).audit_pool(box.pool_id)


@pytest.mark.parametrize("status", [PAUSED, ENDED])
async def test_closed_box_stays_closed_when_redis_was_rebuilt(
    postgres: asyncpg.Pool, redis: Redis, status: int
) -> None:
    """A box off the shelf, or ended, never draws by being rebuilt."""
    box = await _infinite(postgres, redis)
    box.config.status = status  # type: ignore[assignment]
    await box.publish()
    await box.record()
    await lose_and_rebuild(box)
    (answer,) = await box.ask(await box.reserve(9, "z"))
    assert (DrawCode.NOT_ONGOING, PoolStatus(status)) == (answer.code, answer.detail)


async def test_change_of_goods_is_kept_when_it_was_committed_and_not_recorded(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """What the operator wants of a box is in Postgres, also where the ledger of it is lost."""
    box = await open_box(postgres, redis, ItemSpec(None, 50), ItemSpec(9), kind="infinite")
    await box.buy((1, "a", 20))
    await box.record()
    left = await redis.hgetall(key(box.pool_id, "stock"))
    box.config.protection_ms = 60_000
    await box.publish()
    await postgres.execute("UPDATE goods SET protection_seconds = 60, revision = revision + 1")
    await lose_and_rebuild(box)
    assert left == await redis.hgetall(key(box.pool_id, "stock"))
    (refused,) = await box.ask(await box.reserve(2, "b"))
    assert DrawCode.PROTECTED == refused.code
    await box.buy((1, "c", 30))
    await box.record()
    assert ([], 50) == (await findings(box), await box.verify())


@pytest.mark.parametrize(
    ("column", "status"),
    [("on_shelf = false", PoolStatus.PAUSED), ("is_ended = true", PoolStatus.ENDED)],
)
async def test_box_is_closed_when_its_goods_are_and_nothing_of_it_was_recorded(
    postgres: asyncpg.Pool, redis: Redis, column: str, status: PoolStatus
) -> None:
    """A box that was lost before its first configuration was recorded comes back as it shall be."""
    box = await open_box(postgres, redis, ItemSpec(3), LAST_PRIZE)
    await postgres.execute(f"UPDATE goods SET {column}")
    await lose_and_rebuild(box)
    (answer,) = await box.ask(await box.reserve(1, "a"))
    assert (DrawCode.NOT_ONGOING, status) == (answer.code, answer.detail)


async def test_box_is_published_whole_when_nothing_of_it_was_recorded(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Stock, weights and last prize come from the items."""
    box = await open_box(postgres, redis, ItemSpec(2), ItemSpec(1, shang=1), LAST_PRIZE)
    before = await _document(box)
    await lose_and_rebuild(box)
    assert before == await _document(box)
    (answer,) = await box.buy((1, "a", 3))
    assert 4 == answer.places
    await box.record()
    assert ([], 4) == (await findings(box), await box.verify())


async def _document(box: BoxCampaign) -> tuple[Any, Any]:
    """The configuration as published, but for what test boxes leave out; and the stock."""
    document: Any = await box.redis.get(key(box.pool_id, "document"))
    config = json_format.Parse(document, pool_pb2.PoolConfig())
    config.goods_revision = 0
    for prize in config.prizes:
        prize.image_url = ""
    return config, await box.redis.hgetall(key(box.pool_id, "stock"))


async def test_rebuild_leaves_a_healthy_box_and_its_orders_alone(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Orders drawn and not recorded yet are as they were."""
    box = await _ichiban(postgres, redis)
    await box.record()
    await box.buy((5, "told", 2))
    await box.execute(
        "UPDATE orders SET status = 'drawn', first_seq = 11, places = 2"
        " WHERE pool_id = $1 AND order_num = 'told'"
    )
    before = await postgres.fetch("TABLE orders")
    assert Outcome.HEALTHY == await rebuild(box)
    assert before == await postgres.fetch("TABLE orders")


async def test_rebuild_command_brings_boxes_back(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Both kinds of goods; the books balance afterwards."""
    boxes = [await _ichiban(postgres, redis), await _infinite(postgres, redis)]
    for box in boxes:
        await box.record()
    await redis.flushall()
    stores = {"KUJI_POSTGRES_DSN": postgres_dsn, "KUJI_REDIS_URL": redis_url}
    ran = await run_kuji("rebuild", **stores)
    assert (0, "✓ 2 rebuilt, 0 healthy and left alone\n") == ran[:2]
    ran = await run_kuji("reconcile", **stores)
    assert (0, "✓ the books balance (2 pools)\n") == ran[:2]
