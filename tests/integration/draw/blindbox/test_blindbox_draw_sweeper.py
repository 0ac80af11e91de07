"""The sweeper: what was left reserved ends drawn or released, however old, however many sweep."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.pool.store.keys import key, ledger_key
from tests.support.admin import failure
from tests.support.blindbox import Box, ItemSpec, card_status, insert_card
from tests.support.blindbox_draw import Mall, drew, open_mall, settled_books, told
from tests.support.history import eventually

PAUSED = pool_pb2.POOL_STATUS_PAUSED
LAST = ItemSpec(1, is_last_prize=True)
SWEEPING = {"sweep_every_s": 0.05, "sweep_after_s": 0.0}


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """A draw service that sweeps nothing."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url) as mall:
        yield mall


async def reserve(mall: Mall, box: Box, order_num: str, user_id: int = 7, count: int = 1) -> None:
    """As a call does that goes no further."""
    await mall.postgres.execute(
        "INSERT INTO orders (order_num, order_type, user_id, goods_id, num, pool_id, draw_count,"
        " draw_request_id) VALUES ($1, 1, $2, $3, $4, $5, $6, 'order:' || $1)",
        order_num,
        user_id,
        box.goods_id,
        box.num,
        box.pool_id,
        count,
    )


async def reserved(mall: Mall) -> int:
    """Orders that are neither drawn nor released."""
    count: int = await mall.postgres.fetchval(
        "SELECT count(*) FROM orders WHERE status = 'reserved'"
    )
    return count


async def until_swept(mall: Mall, dsn: str, *redis_urls: str, left: int = 0) -> None:
    """Let replicas with sweepers run until all but *left* orders are settled."""
    async with open_mall(mall.redis, mall.postgres, dsn, *redis_urls, **SWEEPING):

        async def is_swept() -> bool:
            return await reserved(mall) == left

        await eventually(is_swept)


async def swept_once(mall: Mall, dsn: str, redis_url: str) -> None:
    """Let a sweeper run until it has tried every order that there is now."""
    box = await mall.box(ItemSpec(2))

    async def all_but_the_tried_are_swept() -> bool:
        return await reserved(mall) == tried

    tried = await reserved(mall)
    async with open_mall(mall.redis, mall.postgres, dsn, redis_url, **SWEEPING):
        for marker in ("one sweep", "and another"):  # which begins when the one before is over
            await reserve(mall, box, marker)
            await eventually(all_but_the_tried_are_swept)


async def forget_requests(mall: Mall, box: Box) -> None:
    """As the store does after a day or two."""
    await mall.redis.delete(*[f"{{p:{box.pool_id}}}:req:{half}" for half in (0, 1)])


async def test_orders_left_reserved_are_settled_once_however_many_sweep(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """X1: 130 orders and 20 cards on 100 tickets, three sweepers: what fits is drawn, no more."""
    box = await mall.box(ItemSpec(40), ItemSpec(60), LAST)
    for nth in range(130):
        await reserve(mall, box, f"o{nth}", user_id=1 + nth, count=1 + nth % 3)
    for _ in range(20):
        card = await insert_card(mall.postgres, 7)
        await mall.postgres.execute(
            "INSERT INTO orders (order_num, order_type, user_id, goods_id, num, pool_id,"
            " draw_count, item_card_id, draw_request_id)"
            " VALUES ('card:' || $1::bigint, 3, 7, $2, 1, $3, 1, $1, 'card:' || $1::bigint)",
            card,
            box.goods_id,
            box.pool_id,
        )
    await until_swept(mall, postgres_dsn, redis_url, redis_url, redis_url)
    books = await settled_books(mall, box)
    assert 150 == books.total()
    assert books["released"] > 0
    assert ([0, 0, 0], 101) == (await mall.left(box), len(await mall.ledger(box)))


async def test_sweepers_and_buyers_settle_the_same_orders_at_once(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """X2: the order sent again while it is swept gives what was drawn for it, or is refused."""
    box = await mall.box(ItemSpec(60), LAST)
    for nth in range(40):
        await reserve(mall, box, f"o{nth}", user_id=1 + nth, count=2)
    async with open_mall(
        mall.redis, mall.postgres, postgres_dsn, redis_url, redis_url, **SWEEPING
    ) as sweeping:
        calls = [
            sweeping.shop(nth % 2).order(box, f"o{nth % 40}", 1 + nth % 40, 2) for nth in range(80)
        ]
        reasons = await asyncio.gather(*map(told, calls))
    assert {"", "SOLD_OUT"} == set(reasons)
    assert reasons[:40] == reasons[40:]
    assert {"drawn": 30, "released": 10} == await settled_books(mall, box)


async def test_order_is_left_alone_while_somebody_may_be_at_it(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """Only what has been reserved for long enough is swept."""
    box = await mall.box(ItemSpec(9))
    await reserve(mall, box, "fresh")
    await reserve(mall, box, "old")
    await mall.age("old", hours=1)
    patient = {**SWEEPING, "sweep_after_s": 600.0}
    async with open_mall(mall.redis, mall.postgres, postgres_dsn, redis_url, **patient):

        async def is_swept() -> bool:
            return await mall.status("old") == "drawn"

        await eventually(is_swept)
    assert "reserved" == await mall.status("fresh")


async def test_orders_of_other_boxes_are_swept_when_one_box_is_not_loaded(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """What cannot be told yet stays reserved, and keeps nobody else waiting."""
    lost, box = await mall.box(ItemSpec(9)), await mall.box(ItemSpec(99))
    for nth in range(60):
        await reserve(mall, lost, f"lost {nth}")
    for nth in range(60):
        await reserve(mall, box, f"o{nth}")
    await mall.redis.delete(key(lost.pool_id, "config"), key(lost.pool_id, "state"))
    await until_swept(mall, postgres_dsn, redis_url, left=60)
    assert {"drawn": 60} == await settled_books(mall, box)
    assert [] == await mall.ledger(lost)


async def test_order_reserved_for_nineteen_hours_is_drawn(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """Its request id would be known if it had drawn, so asking by it is safe."""
    box = await mall.box(ItemSpec(9))
    await reserve(mall, box, "a", count=2)
    await mall.age("a", hours=19)
    await until_swept(mall, postgres_dsn, redis_url)
    assert ({"drawn": 1}, [7]) == (await settled_books(mall, box), await mall.left(box))


async def test_order_reserved_for_twenty_hours_is_released_when_it_never_drew(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """It is not drawn any more; sent again, it is tried anew, by another request id."""
    box = await mall.box(ItemSpec(9))
    await reserve(mall, box, "a", count=2)
    await mall.age("a", hours=21)
    await until_swept(mall, postgres_dsn, redis_url)
    assert ({"released": 1}, [9]) == (await settled_books(mall, box), await mall.left(box))
    await mall.shop().order(box, "a", count=2)
    assert ("drawn", 2) == (await mall.status("a"), (await mall.row("a"))["attempt"])


async def test_old_order_is_drawn_when_the_store_knows_its_draw_still(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """Between twenty hours and a day the store can tell, whatever the records say."""
    box = await mall.box(ItemSpec(9))
    placed = await mall.shop().order(box, "a", count=2)
    await _left_reserved(mall, "a", hours=21)
    await until_swept(mall, postgres_dsn, redis_url)
    assert {"drawn": 1} == await settled_books(mall, box)
    assert placed == await mall.shop().order(box, "a", count=2)


async def _left_reserved(mall: Mall, order_num: str, hours: int) -> None:
    """As if the process had died before it noted the draw."""
    await mall.postgres.execute(
        "UPDATE orders SET status = 'reserved', first_seq = NULL, places = NULL,"
        " updated_at = now() - make_interval(hours => $2) WHERE order_num = $1",
        order_num,
        hours,
    )


async def test_old_order_waits_for_the_records_when_the_store_has_forgotten(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """X2: neither swept nor sent again does it draw twice; the recorder finds its draw."""
    box = await mall.box(ItemSpec(9))
    placed = await mall.shop().order(box, "a", count=2)
    await _left_reserved(mall, "a", hours=30)
    await forget_requests(mall, box)
    await swept_once(mall, postgres_dsn, redis_url)
    assert "reserved" == await mall.status("a")
    refused = await failure(mall.shop().order(box, "a", count=2))
    assert ("UNAVAILABLE", {"retry_after_ms": "500"}) == refused
    await mall.record(box)
    assert placed == await mall.shop().order(box, "a", count=2)
    assert ({"drawn": 1}, [7]) == (await settled_books(mall, box), await mall.left(box))


async def test_old_order_is_released_once_the_records_have_caught_up_without_it(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """As long as one draw of the box is not recorded, that one might be its."""
    box = await mall.box(ItemSpec(9))
    await mall.shop().order(box, "other")
    await reserve(mall, box, "a")
    await mall.age("a", hours=30)
    await swept_once(mall, postgres_dsn, redis_url)
    assert "reserved" == await mall.status("a")
    await mall.record(box)
    await until_swept(mall, postgres_dsn, redis_url)
    assert {"drawn": 1, "released": 1} == await settled_books(mall, box)


async def test_old_order_that_is_sent_again_is_tried_anew_at_once(mall: Mall) -> None:
    """No sweeper was there for a day: the buyer's own call finds that it never drew."""
    box = await mall.box(ItemSpec(9))
    await reserve(mall, box, "a", count=2)
    await mall.age("a", hours=30)
    placed = await mall.shop().order(box, "a", count=2)
    assert ([f"{box.pool_id}-1", f"{box.pool_id}-2"], 2) == (
        drew(placed),
        (await mall.row("a"))["attempt"],
    )
    assert {"drawn": 1} == await settled_books(mall, box)


async def test_old_order_stays_reserved_while_its_box_is_not_loaded(mall: Mall) -> None:
    """Nothing is known of it, so nothing is done."""
    box = await mall.box(ItemSpec(9))
    await reserve(mall, box, "a")
    await mall.age("a", hours=30)
    await mall.redis.flushall()
    assert "POOL_NOT_LOADED" == await told(mall.shop().order(box, "a"))
    assert ("reserved", 0) == (
        await mall.status("a"),
        await mall.redis.exists(ledger_key(box.pool_id)),
    )


async def test_card_left_reserved_is_free_again_when_its_draw_is_refused(
    mall: Mall, postgres_dsn: str, redis_url: str
) -> None:
    """In use until then; swept, it draws from other goods."""
    closed, box = await mall.box(ItemSpec(9), status=PAUSED), await mall.box(ItemSpec(9))
    card = await insert_card(mall.postgres, 7)
    await mall.postgres.execute(
        "INSERT INTO orders (order_num, order_type, user_id, goods_id, num, pool_id, draw_count,"
        " item_card_id, request_id, draw_request_id)"
        " VALUES ('card:' || $1::bigint, 3, 7, $2, 1, $3, 1, $1, 'r', 'card:' || $1::bigint)",
        card,
        closed.goods_id,
        closed.pool_id,
    )
    assert "ITEM_CARD_USED" == await told(mall.user(7).use_card(box.goods_id, card, "s"))
    await until_swept(mall, postgres_dsn, redis_url)
    assert "unused" == await card_status(mall.postgres, card)
    await mall.user(7).use_card(box.goods_id, card, "s")
    assert {"drawn": 1} == await settled_books(mall, box)
