"""Why an order is refused; whatever the reason, nothing is drawn."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.pool.store.keys import key
from tests.support.admin import failure
from tests.support.blindbox import Box, ItemSpec
from tests.support.blindbox_draw import Mall, open_mall, told
from tests.support.history import eventually
from tests.support.proxy import proxying

OPEN, PAUSED, ENDED = (
    pool_pb2.POOL_STATUS_OPEN,
    pool_pb2.POOL_STATUS_PAUSED,
    pool_pb2.POOL_STATUS_ENDED,
)


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """Two replicas over an empty Redis and a fresh database."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url, redis_url) as mall:
        yield mall


async def untouched(mall: Mall, box: Box, left: list[int]) -> None:
    """Nothing was drawn, and nothing reserved."""
    assert (left, []) == (await mall.left(box), await mall.ledger(box))
    assert 0 == await mall.postgres.fetchval("SELECT count(*) FROM orders")


UNFIT: list[tuple[str, dict[str, Any]]] = [
    ("count", {"count": 0}),
    ("count", {"count": -1}),
    ("count", {"count": 101}),
    ("count", {"count": (1 << 31) - 1}),
    ("order_type", {"order_type": 2}),
    ("order_type", {"order_type": 3}),
    ("order_type", {"order_type": 4}),
    ("order_type", {"order_type": -1}),
    ("num", {"num": 0}),
    ("user_id", {"user_id": 0}),
    ("user_id", {"user_id": -7}),
    ("user_id", {"user_id": 1 << 53}),
    ("user_id", {"user_id": (1 << 63) - 1}),
    ("order_num", {"order_num": ""}),
    ("order_num", {"order_num": "x" * 65}),
    ("order_num", {"order_num": "订单"}),
    ("order_num", {"order_num": "é"}),
    ("order_num", {"order_num": "a\nb"}),
    ("order_num", {"order_num": "a\0b"}),
    ("order_num", {"order_num": "card:1"}),
    ("order_num", {"order_num": "card:"}),
]


async def test_order_is_refused_when_a_field_is_out_of_bounds(mall: Mall) -> None:
    """INVALID_ARGUMENT with the field's name."""
    box = await mall.box(ItemSpec(500))
    for field, fields in UNFIT:
        given = {"order_num": "a", **fields}
        refused = await failure(mall.shop().order(box, **given))
        assert (fields, "INVALID_ARGUMENT", {"field": field}) == (fields, *refused)
    await untouched(mall, box, [500])


async def test_order_is_refused_when_there_are_no_such_goods_or_box(mall: Mall) -> None:
    """GOODS_NOT_FOUND tells which; asked twice, the same; goods without a box have none yet."""
    box = await mall.box(ItemSpec(5))
    unopened = await mall.goods(ItemSpec(5))
    cases: list[tuple[str, dict[str, int]]] = [
        ("goods_id", {"goods_id": 987_654}),
        ("goods_id", {"goods_id": 987_654, "num": 0}),
        ("goods_id", {"goods_id": 0}),
        ("goods_id", {"goods_id": -1}),
        ("goods_id", {"goods_id": (1 << 63) - 1}),
        ("num", {"num": 2}),
        ("num", {"num": -1}),
        ("num", {"num": (1 << 31) - 1}),
        ("num", {"goods_id": unopened.goods_id, "num": 1}),
    ]
    for field, fields in [*cases, *cases]:
        refused = await failure(mall.shop().order(box, "a", **fields))
        assert (fields, "GOODS_NOT_FOUND", {"field": field}) == (fields, *refused)
    await untouched(mall, box, [5])


async def test_box_is_drawn_from_as_soon_as_it_is_open(mall: Mall) -> None:
    """Those who asked for it too early, of whichever replica, are not refused once more."""
    shelf = await mall.goods(ItemSpec(5))
    wanted = {"goods_id": shelf.goods_id, "num": 1}
    unopened = Box(shelf.goods_id, 1, 0, 0, [], pool_pb2.PoolConfig())
    for replica in range(2):
        request = mall.shop(replica=replica)
        assert "GOODS_NOT_FOUND" == await told(request.order(unopened, "a", **wanted))
    box = await mall.open_box(shelf)
    for replica in range(2):
        placed = await mall.shop(replica=replica).order(box, f"a{replica}", **wanted)
        assert 1 == len(placed.results)


async def test_order_is_refused_while_the_goods_are_off_the_shelf(mall: Mall) -> None:
    """From the very next order on, on every replica; what was drawn before is still answered."""
    box = await mall.box(ItemSpec(5))
    placed = [await mall.shop(replica).order(box, f"before {replica}") for replica in (0, 1)]
    await mall.publish(box, status=PAUSED)
    for replica in (0, 1):
        refused = await failure(mall.shop(replica).order(box, f"off {replica}"))
        assert ("GOODS_OFF_SHELF", {}) == refused
        assert placed[replica] == await mall.shop(1 - replica).order(box, f"before {replica}")
    assert [3] == await mall.left(box)
    await mall.publish(box, status=OPEN)
    await mall.shop().order(box, "off 0")


async def test_order_is_refused_when_the_box_or_its_goods_have_ended(mall: Mall) -> None:
    """A box that ended alone was sold out; when the goods ended, they are off the shelf."""
    box = await mall.box(ItemSpec(5))
    await mall.publish(box, status=ENDED)
    refused = await failure(mall.shop().order(box, "a"))
    assert ("SOLD_OUT", {"remaining": "0"}) == refused
    await mall.postgres.execute("UPDATE goods SET is_ended = true")
    assert ("GOODS_OFF_SHELF", {}) == await failure(mall.shop().order(box, "a"))
    assert ([5], "released") == (await mall.left(box), await mall.status("a"))


async def test_box_is_its_buyers_alone_while_protected(mall: Mall) -> None:
    """On every replica: others wait, the buyer goes on, and no order of theirs is lost."""
    box = await mall.box(ItemSpec(50), protection_ms=3_600_000)
    await mall.shop().order(box, "a", user_id=7)
    for replica in (0, 1):
        reason, metadata = await failure(mall.shop(replica).order(box, "b", user_id=8))
        assert "BOX_PROTECTED" == reason
        assert 0 < int(metadata["retry_after_ms"]) <= 3_600_000
        await mall.shop(replica).order(box, f"c{replica}", user_id=7, count=2)
    assert ([45], "released") == (await mall.left(box), await mall.status("b"))


async def test_box_is_free_for_others_when_its_protection_has_passed(mall: Mall) -> None:
    """The order that was refused is served when it is sent again."""
    box = await mall.box(ItemSpec(50), protection_ms=300)
    await mall.shop().order(box, "a", user_id=7)
    await told(mall.shop().order(box, "b", user_id=8))

    async def is_served() -> bool:
        return not await told(mall.shop().order(box, "b", user_id=8))

    await eventually(is_served)
    assert [7, 8] == [draw.user_id for draw in await mall.ledger(box)]


async def test_protected_box_is_bought_by_one_buyer_when_all_come_at_once(mall: Mall) -> None:
    """The protection is part of the draw: of twenty buyers at once, one gets in."""
    box = await mall.box(ItemSpec(50), protection_ms=3_600_000)
    calls = [mall.shop(user % 2).order(box, f"o{user}", user_id=user) for user in range(1, 21)]
    reasons = await asyncio.gather(*map(told, calls))
    assert ["", *["BOX_PROTECTED"] * 19] == sorted(reasons)
    assert [49] == await mall.left(box)


async def test_blocked_user_draws_nothing_until_the_block_is_lifted(mall: Mall) -> None:
    """USER_BLOCKED; other users draw."""
    box = await mall.box(ItemSpec(5))
    block = pool_pb2.SetUserBlockRequest(user_id=7, blocked=True)
    await mall.shop()(block)
    assert ("USER_BLOCKED", {}) == await failure(mall.shop().order(box, "a", user_id=7))
    await mall.shop().order(box, "b", user_id=8)
    block.blocked = False
    await mall.shop()(block)
    await mall.shop().order(box, "a", user_id=7)
    assert [8, 7] == [draw.user_id for draw in await mall.ledger(box)]


async def test_order_is_shed_and_released_when_the_recorder_is_far_behind(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """OVERLOADED says that nothing was done; once recorded, the same order is served."""
    told_to = {"max_backlog_draws": 2}
    async with open_mall(redis, postgres, postgres_dsn, redis_url, **told_to) as mall:
        box = await mall.box(ItemSpec(9))
        await mall.shop().order(box, "a", count=2)
        refused = await failure(mall.shop().order(box, "b"))
        assert ("OVERLOADED", {"retry_after_ms": "1000"}) == refused
        assert "released" == await mall.status("b")
        await mall.redis.set(key(box.pool_id, "recorded"), 2)
        await mall.shop().order(box, "b")


async def test_order_is_shed_and_released_when_too_many_wait(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """What this process has no room for was never sent: OVERLOADED, and free to try again."""
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    bounds = {"max_pending_draws": 1000, "redis_timeout_s": 60.0}
    async with (
        proxying("127.0.0.1", port) as proxy,
        open_mall(
            redis, postgres, postgres_dsn, f"redis://127.0.0.1:{proxy.port}/0", **bounds
        ) as mall,
    ):
        box = await mall.box(ItemSpec(10_000))
        await mall.shop().order(box, "before", count=100)

        async def are_reserved() -> bool:
            return bool(61 == await postgres.fetchval("SELECT count(*) FROM orders"))

        proxy.hang()  # so that the first ones are under way, and all others wait
        calls = [told(mall.shop().order(box, f"o{nth}", count=100)) for nth in range(60)]
        calling = asyncio.gather(*calls)
        await eventually(are_reserved)
        proxy.resume()
        shed = [f"o{nth}" for nth, reason in enumerate(await calling) if reason]
        assert {"", "OVERLOADED"} == set(calling.result())
        assert {"released"} == {await mall.status(order_num) for order_num in shed}
        assert [9900 - 100 * (60 - len(shed))] == await mall.left(box)
        await mall.shop().order(box, shed[0], count=100)


async def test_order_stays_reserved_when_the_store_is_full(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """UNAVAILABLE: that it was not drawn could not be settled; with room again it is drawn."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url, watch_every_s=3600) as mall:
        box = await mall.box(ItemSpec(9))
        await mall.shop().order(box, "before")
        await redis.config_set("maxmemory", "1mb")
        try:
            reason = await told(mall.shop().order(box, "a"))
        finally:
            await redis.config_set("maxmemory", "0")
        assert ("UNAVAILABLE", "reserved") == (reason, await mall.status("a"))
        await mall.shop().order(box, "a")
        assert ([7], 1) == (await mall.left(box), (await mall.row("a"))["attempt"])


async def test_order_is_shed_before_it_is_reserved_when_the_store_is_nearly_full(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> None:
    """What an outer layer can decide, no inner one is asked: there is no row."""
    async with open_mall(
        redis, postgres, postgres_dsn, redis_url, max_store_bytes=1, watch_every_s=0.01
    ) as mall:
        box = await mall.box(ItemSpec(9))

        async def is_shed() -> bool:
            return await told(mall.shop().order(box, "")) == "INVALID_ARGUMENT" and (
                await told(mall.shop().order(box, "a", num=9)) == "OVERLOADED"
            )

        await eventually(is_shed)
        await untouched(mall, box, [9])


async def test_order_stays_reserved_when_the_pool_is_not_loaded(mall: Mall) -> None:
    """POOL_NOT_LOADED: a store that lost the box cannot tell what was drawn from it."""
    box = await mall.box(ItemSpec(9))
    await mall.shop().order(box, "before")
    await mall.redis.flushall()
    for replica in (0, 1):
        assert "POOL_NOT_LOADED" == await told(mall.shop(replica).order(box, "a"))
    assert ("reserved", 1) == (await mall.status("a"), (await mall.row("a"))["attempt"])
    assert [] == await mall.redis.keys("{p:*")
