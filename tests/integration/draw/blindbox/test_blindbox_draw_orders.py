"""Orders of ichiban goods: what they give, once, whole, and the same however often sent."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from services.common.orders import draw_request_id
from services.pool.rule.prize_code import prize_code
from services.pool.store.keys import key
from tests.support.admin import failure
from tests.support.blindbox import Box, ItemSpec
from tests.support.blindbox_draw import Mall, Placed, drew, each_told, open_mall, told
from tests.support.proxy import Proxy, proxying

SCRIPT = b"EVALSHA"
_PATIENCE_S = 240.0  # of those who are many at once, on a busy machine
LAST = ItemSpec(1, title="The last one", is_last_prize=True, price="99.00", sc_money="40.00")


@pytest.fixture
async def proxy(redis_url: str, redis: object) -> AsyncIterator[Proxy]:
    """A proxy in front of an empty Redis."""
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    async with proxying("127.0.0.1", port) as proxy:
        yield proxy


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis, proxy: Proxy
) -> AsyncIterator[Mall]:
    """Replica 0 behind the proxy, replica 1 beside it; calls to Redis take a second at most."""
    behind = f"redis://127.0.0.1:{proxy.port}/0"
    async with open_mall(
        redis, postgres, postgres_dsn, behind, redis_url, redis_timeout_s=2.0
    ) as mall:
        yield mall


async def test_order_gives_items_with_every_field_filled(mall: Mall) -> None:
    """P1, B7: what the goods say of the item, its code, its ticket, its time, its odds."""
    shelf = await mall.goods(
        ItemSpec(1, title="Bear", shang=0, price="1299.00", sc_money="0.50"),
        shangs=("A", "B"),
    )
    box = await mall.open_box(shelf)
    placed = await mall.shop().order(box, "a", user_id=7)
    (item,), (proof,), (draw,) = placed.results, placed.proofs, await mall.ledger(box)
    assert (shelf.item_ids[0], "Bear", "https://img.example/0.png", "1299.00", "0.50") == (
        item.goods_item_id,
        item.title,
        item.img_url,
        item.price,
        item.sc_money,
    )
    assert (shelf.shang_ids[0], "A", "#c00000") == (
        item.shang_id,
        item.shang_title,
        item.shang_color,
    )
    assert (1, prize_code(box.pool_id, 1, draw.code_bytes)) == (item.luck_no, item.prize_code)
    drawn_ms = int(await mall.redis.hget(key(box.pool_id, "state"), "last_ms") or 0)
    assert drawn_ms // 1000 == item.draw_time
    assert (f"{box.pool_id}-1", 1.0, 1, 1) == (
        proof.draw_id,
        proof.odds,
        proof.odds_weight,
        proof.odds_total,
    )


async def test_order_is_drawn_in_its_row_and_in_the_ledger(mall: Mall) -> None:
    """The row says where its draws are; the ledger says for which order they were."""
    box = await mall.box(ItemSpec(9))
    await mall.shop().order(box, "before", count=2)
    placed = await mall.shop().order(box, "a", user_id=8, count=3)
    expected = {
        "status": "drawn",
        "refusal": "",
        "attempt": 1,
        "draw_request_id": "order:a",
        "first_seq": 3,
        "places": 3,
    }
    assert expected == await mall.row("a")
    assert [f"{box.pool_id}-{seq}" for seq in (3, 4, 5)] == drew(placed)
    draws = (await mall.ledger(box))[2:]
    assert [(8, b"order:a", index, 3) for index in range(3)] == [draw[:4] for draw in draws]
    assert ("a", await mall.postgres.fetchval("SELECT id FROM orders WHERE order_num = 'a'")) == (
        placed.order_num,
        placed.order_id,
    )


async def test_order_sent_again_gives_the_same_wherever_its_draws_are_by_then(mall: Mall) -> None:
    """X2: from the ledger, from both, from Postgres alone; on any replica; also a month later."""
    box = await mall.box(ItemSpec(9, title="Bear"), ItemSpec(9, title="Cat"), LAST)
    placed = await mall.shop().order(box, "a", count=18)
    assert 19 == len(placed.results)
    await _same_again(mall, box, placed)
    await mall.record(box)
    await _same_again(mall, box, placed)
    await mall.trim(box)
    await mall.age("a", hours=24 * 30)
    await _same_again(mall, box, placed)


async def _same_again(mall: Mall, box: Any, placed: Placed) -> None:
    for replica in (0, 1):
        assert placed == await mall.shop(replica).order(box, "a", count=18)
    assert 19 == len(await mall.ledger(box)) or not await mall.ledger(box)


async def test_order_draws_once_when_it_is_sent_at_once_on_two_replicas(mall: Mall) -> None:
    """X2: forty calls, one draw of two, one answer."""
    box = await mall.box(ItemSpec(50))
    calls = [mall.shop(nth % 2).order(box, "a", count=2) for nth in range(40)]
    first, *others = await asyncio.gather(*calls)
    assert all(first == other for other in others)
    assert [48] == await mall.left(box)
    assert 1 == await mall.postgres.fetchval("SELECT count(*) FROM orders")


async def test_order_draws_once_when_its_answer_is_lost(mall: Mall, proxy: Proxy) -> None:
    """X2: drawn and never heard of; the same order again, elsewhere, gives what was drawn."""
    box = await mall.box(ItemSpec(50))
    await mall.shop().order(box, "before")
    proxy.lose_reply(SCRIPT)
    reason = await told(mall.shop().order(box, "a", count=3))
    assert 1 == proxy.lost_replies
    assert reason in {"", "UNAVAILABLE"}
    placed = await mall.shop(1).order(box, "a", count=3)
    assert [f"{box.pool_id}-{seq}" for seq in (2, 3, 4)] == drew(placed)
    assert [46] == await mall.left(box)


async def test_order_larger_than_what_is_left_is_refused_whole(mall: Mall) -> None:
    """All or nothing: it draws nothing, and tells what is left; a smaller one is served."""
    box = await mall.box(ItemSpec(2), ItemSpec(3), LAST)
    refused = await failure(mall.shop().order(box, "a", count=6))
    assert ("SOLD_OUT", {"remaining": "5"}) == refused
    assert ([2, 3, 1], []) == (await mall.left(box), await mall.ledger(box))
    row = await mall.row("a")
    assert ("released", "SOLD_OUT", None) == (row["status"], row["refusal"], row["first_seq"])
    assert 6 == len((await mall.shop().order(box, "b", count=5)).results)


async def test_last_ticket_goes_to_one_of_two_buyers(mall: Mall) -> None:
    """P7: whoever comes second is told, and has nothing."""
    for nth in range(10):
        box = await mall.box(ItemSpec(1), LAST)
        calls = [
            mall.shop(replica).order(box, f"{nth}-{replica}", 7 + replica) for replica in (0, 1)
        ]
        assert ["", "SOLD_OUT"] == sorted(await each_told(calls))
        assert ([0, 0], 2) == (await mall.left(box), len(await mall.ledger(box)))
        statuses = [await mall.status(f"{nth}-{replica}") for replica in (0, 1)]
        assert ["drawn", "released"] == sorted(statuses)


async def test_box_of_t_tickets_gives_t_items_and_the_last_prize_with_the_last(mall: Mall) -> None:
    """L3, P6: each unit once, each code once, each ticket among those that there were."""
    shelf = await mall.goods(ItemSpec(1, title="A"), ItemSpec(3, title="B"), ItemSpec(6), LAST)
    box = await mall.open_box(shelf)
    placed = [
        await mall.shop().order(box, f"o{nth}", user_id=7 + nth, count=count)
        for nth, count in enumerate((1, 2, 3, 4))
    ]
    assert [1, 2, 3, 5] == [len(one.results) for one in placed]
    items = [item for one in placed for item in one.results]
    for item_id, units in zip(shelf.item_ids, (1, 3, 6, 1), strict=True):
        assert units == sum(item.goods_item_id == item_id for item in items)
    assert (shelf.item_ids[3], 1) == (items[-1].goods_item_id, items[-1].luck_no)
    assert 11 == len({item.prize_code for item in items})
    for tickets, item in zip(range(10, 0, -1), items[:-1], strict=True):
        assert 1 <= item.luck_no <= tickets
    totals = [proof.odds_total for one in placed for proof in one.proofs]
    assert [*range(10, 0, -1), 1] == totals
    assert "SOLD_OUT" == await told(mall.shop().order(box, "late"))


async def test_order_of_a_hundred_is_drawn_in_one_step(mall: Mall) -> None:
    """An order may hold a hundred tickets."""
    box = await mall.box(ItemSpec(101))
    placed = await mall.shop().order(box, "a", count=100)
    assert [f"{box.pool_id}-{seq}" for seq in range(1, 101)] == drew(placed)
    assert [1] == await mall.left(box)


async def test_boxes_of_the_same_goods_are_drawn_from_apart(mall: Mall) -> None:
    """A box sold out leaves the next one whole."""
    shelf = await mall.goods(ItemSpec(2), LAST)
    one, two = [await mall.open_box(shelf) for _ in range(2)]
    await mall.shop().order(one, "a", count=2)
    assert "SOLD_OUT" == await told(mall.shop().order(one, "b"))
    placed = await mall.shop().order(two, "c")
    assert ([0, 0], [1, 1]) == (await mall.left(one), await mall.left(two))
    assert [f"{two.pool_id}-1"] == drew(placed)


async def test_refused_order_is_tried_again_when_it_is_sent_again(mall: Mall) -> None:
    """Each time with a request id of its own; it draws once the reason has passed."""
    box = await mall.box(ItemSpec(5), status=2)
    for attempt in (1, 2):
        assert "GOODS_OFF_SHELF" == await told(mall.shop().order(box, "a: b@2", count=2))
        row = await mall.row("a: b@2")
        assert ("released", attempt) == (row["status"], row["attempt"])
        assert draw_request_id("a: b@2", attempt) == row["draw_request_id"]
    await mall.publish(box, status=1)
    await mall.shop().order(box, "a: b@2", count=2)
    row = await mall.row("a: b@2")
    assert ("drawn", "", 3) == (row["status"], row["refusal"], row["attempt"])
    request_id = draw_request_id("a: b@2", 3).encode()
    assert [request_id] * 2 == [draw.request_id for draw in await mall.ledger(box)]


async def test_refused_order_sent_many_times_at_once_is_only_ever_refused(mall: Mall) -> None:
    """Calls of one order undo each other's attempts; none of them shows the conflict."""
    box = await mall.box(ItemSpec(1))
    calls = [_told_at_last(mall, box, "a", nth % 2, count=2) for nth in range(200)]
    assert {"SOLD_OUT": 200} == Counter(await asyncio.gather(*calls))
    assert "released" == await mall.status("a")
    assert [1] == await mall.left(box)


async def test_order_number_names_one_order(mall: Mall) -> None:
    """ORDER_CONFLICT where anything else differs; the order itself stays as it was."""
    shelf = await mall.goods(ItemSpec(50))
    box, other_num = [await mall.open_box(shelf) for _ in range(2)]
    other_goods = await mall.box(ItemSpec(50))
    placed = await mall.shop().order(box, "a", user_id=7, count=2)
    changes: list[tuple[Any, dict[str, Any]]] = [
        (box, {"user_id": 8, "count": 2}),
        (box, {"count": 1}),
        (other_num, {"count": 2}),
        (other_goods, {"count": 2}),
    ]
    for other, fields in changes:
        refused = await failure(mall.shop(1).order(other, "a", **fields))
        assert ("ORDER_CONFLICT", {"field": "order_num"}) == refused
    assert placed == await mall.shop().order(box, "a", user_id=7, count=2)
    assert [[48], [50], [50]] == [await mall.left(one) for one in (box, other_num, other_goods)]


async def test_order_numbers_that_look_like_request_ids_do_not_meet(mall: Mall) -> None:
    """Whatever a shop calls its orders, no two of them share a draw."""
    box = await mall.box(ItemSpec(50), status=2)
    for order_num in ("2:a", "@2:a", "order:a", "a", "x" * 64, "Card:1", " "):
        assert "GOODS_OFF_SHELF" == await _told_at_last(mall, box, order_num)
    await mall.publish(box, status=1)
    for order_num in ("2:a", "@2:a", "order:a", "a", "x" * 64, "Card:1", " "):
        assert "" == await _told_at_last(mall, box, order_num)
    assert 7 == len({draw.request_id for draw in await mall.ledger(box)})


async def _told_at_last(mall: Mall, box: Box, order_num: str, shop: int = 0, **fields: Any) -> str:
    """As told(); Redis may take long to answer on a busy machine."""
    while True:
        reason = await told(mall.shop(shop).order(box, order_num, timeout=_PATIENCE_S, **fields))
        if reason != "UNAVAILABLE":
            return reason


async def test_left_out_order_type_is_that_of_the_goods(mall: Mall) -> None:
    """0 and 1 are the same order of ichiban goods."""
    box = await mall.box(ItemSpec(5))
    placed = await mall.shop().order(box, "a")
    assert placed == await mall.shop().order(box, "a", order_type=1)
    assert 1 == await mall.postgres.fetchval("SELECT order_type FROM orders")


async def test_orders_are_placed_by_services_and_administrators_alone(mall: Mall) -> None:
    """A user cannot place an order; an administrator can."""
    box = await mall.box(ItemSpec(5))
    assert "PERMISSION_DENIED" == await told(mall.user(7).order(box, "a"))
    assert [5] == await mall.left(box)
    await mall.user(1, role="admin").order(box, "a")
    assert [4] == await mall.left(box)
