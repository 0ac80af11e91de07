"""Infinite goods; and for all goods the probabilities, the inventory, and the proof of a draw."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kuji.blindbox.v1 import blindbox_pb2
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.draw.blindbox.shelf import Shelf
from services.pool.rule.fairness import Roller, commitment
from tests.support.admin import failure
from tests.support.blindbox import Box, ItemSpec
from tests.support.blindbox_draw import Customer, Mall, drew, open_mall, told
from tests.support.history import eventually

LAST = ItemSpec(1, title="The last one", is_last_prize=True)
PAUSED, ENDED = pool_pb2.POOL_STATUS_PAUSED, pool_pb2.POOL_STATUS_ENDED


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """A draw service over an empty Redis and a fresh database, quick to reveal seeds."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url, watch_every_s=0.05) as mall:
        yield mall


def infinite(mall: Mall, *items: ItemSpec) -> Any:
    """The one box of new infinite goods."""
    return mall.box(*items, kind="infinite")


async def test_infinite_order_may_leave_out_num_and_type(mall: Mall) -> None:
    """0 and what follows from the goods are the same order."""
    box = await infinite(mall, ItemSpec(None, weight=1))
    placed = await mall.shop().order(box, "a", count=3, num=0)
    assert placed == await mall.shop().order(box, "a", count=3, num=1, order_type=2)
    assert 3 == len(placed.results)
    assert 2 == await mall.postgres.fetchval("SELECT order_type FROM orders")


async def test_infinite_order_is_refused_when_its_fields_do_not_fit(mall: Mall) -> None:
    """Infinite goods have one box, and take infinite orders."""
    box = await infinite(mall, ItemSpec(None, weight=1))
    cases: list[tuple[str, dict[str, str], dict[str, int]]] = [
        ("GOODS_NOT_FOUND", {"field": "num"}, {"num": 2}),
        ("GOODS_NOT_FOUND", {"field": "num"}, {"num": -1}),
        ("INVALID_ARGUMENT", {"field": "order_type"}, {"order_type": 1}),
        ("INVALID_ARGUMENT", {"field": "order_type"}, {"order_type": 3}),
    ]
    for reason, metadata, fields in cases:
        assert (reason, metadata) == await failure(mall.shop().order(box, "a", **fields))
    assert ([], 0) == (
        await mall.ledger(box),
        await mall.postgres.fetchval("SELECT count(*) FROM orders"),
    )


async def test_fixed_weights_stay_as_they_are_while_stock_lasts(mall: Mall) -> None:
    """Each draw of a hundred has the same odds; unlimited stock has no end."""
    box = await infinite(mall, ItemSpec(None, weight=30), ItemSpec(None, weight=70))
    placed = await mall.shop().order(box, "a", count=100)
    weights = dict(zip(box.prize_ids, (30, 70), strict=True))
    for draw, proof in zip(await mall.ledger(box), placed.proofs, strict=True):
        assert (weights[draw.prize_id], 100) == (proof.odds_weight, proof.odds_total)
        assert weights[draw.prize_id] / 100 == proof.odds
    assert [-1, -1] == await mall.left(box)


async def test_sold_out_item_is_drawn_no_more_and_the_rest_renormalise(mall: Mall) -> None:
    """P6: finite stock with fixed weights; when all of it is gone, SOLD_OUT."""
    box = await infinite(mall, ItemSpec(2, weight=900), ItemSpec(8, weight=100))
    placed = await mall.shop().order(box, "a", count=9)
    left = await mall.left(box)
    assert 1 == sum(left)
    totals = {proof.odds_total for proof in placed.proofs}
    assert totals <= {1000, 900, 100}
    assert "SOLD_OUT" == await told(mall.shop().order(box, "b", count=2))
    await mall.shop().order(box, "c")
    assert [0, 0] == await mall.left(box)
    refused = await failure(mall.shop().order(box, "d"))
    assert ("SOLD_OUT", {"remaining": "0"}) == refused


async def test_items_without_a_weight_are_drawn_by_their_surplus_stock(mall: Mall) -> None:
    """S/T, as in an ichiban box, beside items with a weight."""
    box = await infinite(mall, ItemSpec(3), ItemSpec(None, weight=5))
    first = (await mall.shop().order(box, "a")).proofs[0]
    assert (first.odds_weight, 8) in {(3, first.odds_total), (5, first.odds_total)}
    rows = await mall.user(1).probabilities(box)
    left = (await mall.left(box))[0]
    assert [(left, left), (0, 5)] == [(row.surplus_stock, row.weight) for row in rows]
    assert [True, False] == [row.HasField("surplus_stock") for row in rows]


async def test_probabilities_are_those_of_the_surplus_stock(mall: Mall) -> None:
    """P4, B8: S/T × 100, in the order of creation; a last prize is not among them."""
    shelf = await mall.goods(ItemSpec(1, title="A"), ItemSpec(3, title="B"), LAST, ItemSpec(4))
    box = await mall.open_box(shelf)
    anyone = Customer(mall.world.channels[0], None)
    expected = [
        blindbox_pb2.ItemProbability(
            goods_item_id=item_id,
            title=title,
            surplus_stock=stock,
            probability=100 * stock / 8,
            weight=stock,
        )
        for item_id, title, stock in (
            (shelf.item_ids[0], "A", 1),
            (shelf.item_ids[1], "B", 3),
            (shelf.item_ids[3], "A mug", 4),
        )
    ]
    assert expected == await anyone.probabilities(box)


async def test_probabilities_follow_each_draw_and_are_zero_in_the_end(mall: Mall) -> None:
    """P4, P6: after every draw they are those of what is left; nothing left, nothing likely."""
    box = await mall.box(ItemSpec(2), ItemSpec(3), LAST)
    for nth in range(5):
        await mall.shop().order(box, f"o{nth}")
        left = (await mall.left(box))[:2]
        rows = await mall.user(1).probabilities(box)
        assert left == [row.surplus_stock for row in rows]
        assert [100 * units / (sum(left) or 1) for units in left] == [
            row.probability for row in rows
        ]
    assert [(0, 0, 0), (0, 0, 0)] == [
        (row.surplus_stock, row.weight, row.probability) for row in rows
    ]


async def test_inventory_tells_whether_an_order_could_be_served(mall: Mall) -> None:
    """B6: enough left, and open; it lists what can be drawn."""
    shelf = await mall.goods(ItemSpec(1), ItemSpec(3), LAST)
    box = await mall.open_box(shelf)
    for count, available in ((0, True), (1, True), (4, True), (5, False), (100, False)):
        stock = await mall.shop().inventory(box, count)
        assert (count, available, 4) == (count, stock.available, stock.tickets_left)
    assert shelf.item_ids[:2] == [item.goods_item_id for item in stock.items]
    await mall.shop().order(box, "a", count=4)
    stock = await mall.shop().inventory(box)
    assert (False, 0, []) == (stock.available, stock.tickets_left, list(stock.items))


async def test_inventory_of_unlimited_stock_has_no_number(mall: Mall) -> None:
    """Absent, and any order can be served, until the goods leave the shelf."""
    box = await infinite(mall, ItemSpec(None, weight=1), ItemSpec(2))
    stock = await mall.shop().inventory(box, 100)
    assert (True, False) == (stock.available, stock.HasField("tickets_left"))
    await mall.publish(box, status=PAUSED)
    assert not (await mall.shop().inventory(box)).available


async def test_inventory_is_refused_when_its_fields_do_not_fit(mall: Mall) -> None:
    """The same names of fields as in an order; users do not ask for it."""
    box = await mall.box(ItemSpec(5))
    for count in (-1, 101):
        refused = await failure(mall.shop().inventory(box, count))
        assert ("INVALID_ARGUMENT", {"field": "count"}) == refused
    assert "PERMISSION_DENIED" == await told(mall.user(7).inventory(box))


async def test_nothing_is_told_of_a_box_that_is_not_there(mall: Mall) -> None:
    """Unknown goods, unknown box, or a store that has lost it."""
    box = await mall.box(ItemSpec(5))
    for ask in (mall.user(1).probabilities, mall.shop().inventory):
        other = Box(box.goods_id, 2, 0, 0, [], box.config)
        assert ("GOODS_NOT_FOUND", {"field": "num"}) == await failure(ask(other))
        unknown = Box(987_654, 1, 0, 0, [], box.config)
        assert ("GOODS_NOT_FOUND", {"field": "goods_id"}) == await failure(ask(unknown))
    await mall.redis.flushall()
    for ask in (mall.user(1).probabilities, mall.shop().inventory):
        assert "POOL_NOT_LOADED" == await told(ask(box))


async def test_left_out_num_is_the_first_box(mall: Mall) -> None:
    """For probabilities and inventory."""
    box = await mall.box(ItemSpec(5))
    first = Box(box.goods_id, 0, 0, 0, [], box.config)
    assert await mall.user(1).probabilities(box) == await mall.user(1).probabilities(first)
    assert await mall.shop().inventory(box) == await mall.shop().inventory(first)


async def test_every_draw_of_a_box_validates_from_the_moment_it_was_answered(mall: Mall) -> None:
    """B5, X4: recorded or not, the last prize included; the seed once the box has ended."""
    box = await mall.box(ItemSpec(2), ItemSpec(3), LAST)
    placed = [await mall.shop().order(box, f"o{nth}", user_id=7 + nth) for nth in range(3)]
    placed.append(await mall.shop().order(box, "rest", count=2))
    before = [await mall.user(1).validate(one) for order in placed for one in drew(order)]
    luck = [item.luck_no for order in placed for item in order.results]
    assert ([True] * 6, luck) == ([one.valid for one in before], [one.luck_no for one in before])
    assert not any(one.HasField("seed") for one in before)
    await mall.record(box)
    assert before == [await mall.user(1).validate(one.draw_id) for one in before]
    seed = await _revealed(mall, box)
    after = [await mall.user(1).validate(one.draw_id) for one in before]
    assert ({seed.hex()}, [one.roll for one in before]) == (
        {one.seed for one in after},
        [one.roll for one in after],
    )
    assert {commitment(seed).hex()} == {one.seed_commitment for one in after}
    assert Roller(seed, box.pool_id).roll(8, "order:o1", 0).hex() == after[1].roll


async def _revealed(mall: Mall, box: Box) -> bytes:
    """End the box; its seed once it is revealed."""
    await mall.publish(box, status=ENDED)
    await mall.record(box)
    found: list[bytes] = []

    async def is_revealed() -> bool:
        query = "SELECT seed FROM pool_reveals WHERE pool_id = $1"
        seed = await mall.postgres.fetchval(query, box.pool_id)
        found.extend([seed] if seed else [])
        return bool(found)

    await eventually(is_revealed)
    return found[0]


async def test_validation_says_so_when_the_record_was_changed(mall: Mall) -> None:
    """Not valid, and why: the roll gives another ticket, the item had another weight."""
    box = await mall.box(ItemSpec(40), ItemSpec(60))
    placed = await mall.shop().order(box, "a", count=2)
    await mall.record(box)
    changes = [("ticket = ticket + 1", "the roll gives ticket"), ("odds_weight = 77", "77 of")]
    for draw_id, (change, reason) in zip(drew(placed), changes, strict=True):
        await mall.postgres.execute(
            f"UPDATE lottery_records SET {change} WHERE pool_id = $1 AND seq = $2",
            box.pool_id,
            int(draw_id.partition("-")[2]),
        )
        validated = await mall.user(1).validate(draw_id)
        assert not validated.valid
        assert reason in validated.reason


async def test_validation_finds_draws_of_boxes_alone(mall: Mall) -> None:
    """A lottery's draw is NOT_FOUND here, as is one that was never made."""
    box = await mall.box(ItemSpec(5))
    await mall.shop().order(box, "a")
    activity = await mall.world.activity((5, 1_000_000_000))
    drawn = await mall.world.user(7).draw(activity.activity_id, "a")
    for draw_id in (drawn.draw_id, f"{box.pool_id}-2", f"{box.pool_id + 99}-1"):
        assert "NOT_FOUND" == await told(mall.user(1).validate(draw_id))
    for draw_id in ("", "1", "a-b", f"{box.pool_id}-0"):
        refused = await failure(mall.user(1).validate(draw_id))
        assert ("INVALID_ARGUMENT", {"field": "draw_id"}) == refused


async def test_items_of_every_level_come_up_in_a_thousand_draws(mall: Mall) -> None:
    """What is drawn is what the ledger says, item by item, through the running service."""
    shelf = await mall.goods(
        ItemSpec(None, weight=1, shang=0),
        ItemSpec(None, weight=1, shang=1),
        kind="infinite",
        shangs=("A", "B"),
    )
    box = await mall.open_box(shelf)
    placed = [await mall.shop().order(box, f"o{nth}", count=100) for nth in range(10)]
    given = Counter(item.goods_item_id for order in placed for item in order.results)
    item_ids = dict(zip(box.prize_ids, shelf.item_ids, strict=True))
    assert Counter(item_ids[draw.prize_id] for draw in await mall.ledger(box)) == given
    levels = {item.shang_id: item.shang_title for order in placed for item in order.results}
    assert dict(zip(shelf.shang_ids, "AB", strict=True)) == levels


async def test_boxes_are_remembered_up_to_a_bound(mall: Mall) -> None:
    """Whoever asks for the probabilities of every box there ever was fills no memory."""
    boxes = [await mall.box(ItemSpec(1), ItemSpec(2)) for _ in range(3)]
    shelf = Shelf(mall.postgres, items_kept=4)
    first, second, third = [await shelf.box(box.goods_id, box.num) for box in boxes]
    assert third is await shelf.box(third.goods_id, third.num)
    assert second is await shelf.box(second.goods_id, second.num)
    again = await shelf.box(first.goods_id, first.num)
    assert (True, True) == (again == first, again is not first)
