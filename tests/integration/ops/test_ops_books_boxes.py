"""The audit of blind boxes, on real orders that the tests tamper with."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from services.pool.books.collector import Auditor
from services.pool.books.findings import Finding, Kind
from services.pool.books.watch import BooksWatch
from services.pool.store.keys import key
from tests.support.blindbox import ItemSpec
from tests.support.boxes import BOX_KINDS, LAST_PRIZE, BoxCampaign, open_box, open_boxes
from tests.support.command import run_kuji

Tamper = Callable[[BoxCampaign], Awaitable[object]]


@pytest.fixture
async def boxes(postgres: asyncpg.Pool, redis: Redis) -> list[BoxCampaign]:
    """
    Two boxes of 9 tickets and a last prize. Box 1: orders "a" of 3 and "b" of 1 are recorded, "c"
    of 2 is in flight, "d" reserved. Box 2: order "e" bought it empty, all recorded.
    """
    items = [ItemSpec(2), ItemSpec(7, shang=1), LAST_PRIZE]
    first, second = await open_boxes(postgres, redis, *items, boxes=2)
    await first.buy((1, "a", 3), (2, "b"))
    await first.record()
    await second.buy((1, "e", 9))
    await second.record()
    await first.buy((3, "c", 2))
    await first.reserve(1, "d")
    return [first, second]


async def _audit(box: BoxCampaign) -> list[Finding]:
    auditor = Auditor(box.postgres, box.redis)
    findings = await auditor.audit_pool(box.pool_id)
    assert findings is not None
    return [*findings, *await auditor.audit_winner_list()]


async def test_box_balances_with_orders_drawn_in_flight_and_reserved(
    boxes: list[BoxCampaign],
) -> None:
    """What is on its way is no difference, before it is recorded and after."""
    for box in boxes:
        assert [] == await _audit(box)
    await boxes[0].record()
    assert [] == await _audit(boxes[0])


async def test_box_balances_when_an_order_was_marked_before_it_is_recorded(
    boxes: list[BoxCampaign],
) -> None:
    """The draw service marks an order as drawn at once; its items come with the record."""
    await boxes[0].execute(
        "UPDATE orders SET status = 'drawn', first_seq = 5, places = 2"
        " WHERE pool_id = $1 AND order_num = 'c'"
    )
    assert [] == await _audit(boxes[0])


async def test_box_balances_when_stock_is_unlimited(postgres: asyncpg.Pool, redis: Redis) -> None:
    """Items without end have no conservation, and finite ones beside them do."""
    box = await open_box(
        postgres, redis, ItemSpec(None, 50), ItemSpec(40, 50), kind="infinite", protection_ms=9
    )
    await box.buy((1, "a", 30))
    await box.record()
    await box.buy((1, "b", 30))
    assert [] == await _audit(box)
    await redis.hincrby(key(box.pool_id, "stock"), str(box.prize_ids[1]), 2)
    assert [(Kind.STOCK, box.prize_ids[1], 2)] == [
        (found.kind, found.prize_id, found.off_by) for found in await _audit(box)
    ]


async def test_audit_tells_unlimited_from_finite_units(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Units that Redis has without end and Postgres has not are a finding with nothing to count."""
    box = await open_box(postgres, redis, ItemSpec(None, 50), ItemSpec(4), kind="infinite")
    await box.execute(
        "UPDATE prizes SET total_count = 7 WHERE pool_id = $1 AND total_count IS NULL"
    )
    (finding,) = await _audit(box)
    assert (Kind.UNITS_DIFFER, box.prize_ids[0], 0) == (
        finding.kind,
        finding.prize_id,
        finding.off_by,
    )
    assert "units in all: Redis has unlimited, Postgres 7" == finding.detail


async def test_pool_is_named_by_its_goods_and_number(boxes: list[BoxCampaign]) -> None:
    """A report can say which box it means."""
    facts = await Auditor(boxes[1].postgres, boxes[1].redis).facts(boxes[1].pool_id)
    assert facts is not None
    assert "Spring box, box 2" == facts.row.name


def _sql(*statements: str) -> Tamper:
    """Runs *statements*; $1 is the pool."""

    async def run(box: BoxCampaign) -> None:
        for statement in statements:
            await box.execute(statement)

    return run


def _item(change: str) -> Tamper:
    """Changes what box 1's draw 2 gave; the 2nd of order "a"."""
    return _sql(f"UPDATE order_items SET {change} WHERE pool_id = $1 AND seq = 2")


_DIFFERS = {(Kind.ITEM_DIFFERS, 0)}
# (what was done to box 1, what is found there: kind, off by)
TAMPERINGS: list[tuple[str, Tamper, set[tuple[Kind, int]]]] = [
    (
        "an item is deleted",
        _sql("DELETE FROM order_items WHERE pool_id = $1 AND seq = 2"),
        {
            (Kind.ITEM_MISSING, -1),
            (Kind.ORDER_ITEMS, -1),
            (Kind.ITEM_NUMBERS, -1),
        },
    ),
    (
        "the record of an item is deleted",
        _sql("DELETE FROM lottery_records WHERE pool_id = $1 AND seq = 2"),
        {
            (Kind.ITEM_UNFOUNDED, 1),
            (Kind.RECORDS_MISSING, -1),
            (Kind.POOL_COUNT, 1),
            (Kind.WON_COUNT, 1),
            (Kind.WINNER_UNFOUNDED, 1),
            (Kind.STOCK, -1),
        },
    ),
    ("an item has another buyer", _item("user_id = 77"), _DIFFERS),
    ("an item is another one", _item("goodslist_id = goodslist_id + 50"), _DIFFERS),
    ("an item has another code", _item("prize_code = 'FORGED'"), _DIFFERS),
    ("an item has another ticket", _item("luck_no = luck_no + 1"), _DIFFERS),
    ("an item is a last prize", _item("goodslist_type = 2"), _DIFFERS),
    ("an item is from another box", _item("num = 2"), _DIFFERS),
    ("an item is older", _item("created_at = created_at - interval '1 day'"), _DIFFERS),
    ("an item has another place in its order", _item("id = id + 50"), _DIFFERS),
    (
        "an item is of another level",
        _item("shang_id = shang_id + 50"),
        {*_DIFFERS, (Kind.ITEM_NUMBERS, -1), (Kind.ITEM_NUMBERS, 1)},
    ),
    (
        "an item belongs to another order",
        _item("order_id = (SELECT id FROM orders WHERE order_num = 'b')"),
        {*_DIFFERS, (Kind.ORDER_ITEMS, -1), (Kind.ORDER_ITEMS, 1)},
    ),
    (
        "an order is released after it drew",
        _sql(
            "UPDATE orders SET status = 'released', first_seq = NULL, places = NULL"
            " WHERE pool_id = $1 AND order_num = 'a'"
        ),
        {(Kind.ORDER_ITEMS, 3)},
    ),
    (
        "an order says that it drew what is not recorded",
        _sql(
            "UPDATE orders SET status = 'drawn', first_seq = 2, places = 1"
            " WHERE pool_id = $1 AND order_num = 'd'"
        ),
        {(Kind.ORDER_ITEMS, -1)},
    ),
    (
        "the goods' counter is raised",
        _sql(
            "UPDATE item_counters SET items = items + 2 WHERE shang_id = 0 AND goods_id ="
            " (SELECT goods_id FROM boxes WHERE pool_id = $1)"
        ),
        {(Kind.ITEM_NUMBERS, -2)},
    ),
    (
        "an item has a number that was not given",
        _item("goods_no = 70"),
        {(Kind.ITEM_NUMBERS, 70 - 14)},
    ),
    (
        "an order is reserved for long",
        _sql(
            "UPDATE orders SET updated_at = now() - interval '6 minutes'"
            " WHERE pool_id = $1 AND status = 'reserved'"
        ),
        {(Kind.ORDER_STUCK, 0)},
    ),
]


@pytest.mark.parametrize(
    ("tamper", "expected"), [t[1:] for t in TAMPERINGS], ids=[t[0] for t in TAMPERINGS]
)
async def test_audit_names_what_is_off_in_a_box_when(
    boxes: list[BoxCampaign], tamper: Tamper, expected: set[tuple[Kind, int]]
) -> None:
    """Every tampering is found in its box, and nothing is found in the other one."""
    await tamper(boxes[0])
    assert expected == {(found.kind, found.off_by) for found in await _audit(boxes[0])}
    assert [] == await _audit(boxes[1])


async def test_tamperings_cover_every_kind_of_finding_in_boxes() -> None:
    """A new kind of finding needs a tampering that provokes it."""
    provoked = {kind for _, _, expected in TAMPERINGS for kind, _ in expected}
    assert BOX_KINDS <= provoked


async def test_finding_says_since_when_an_order_is_reserved(boxes: list[BoxCampaign]) -> None:
    """An operator learns which order to look for."""
    await boxes[0].execute(
        "UPDATE orders SET updated_at = '2024-02-03 04:05:06+00'"
        " WHERE pool_id = $1 AND order_num = 'd'"
    )
    (finding,) = await _audit(boxes[0])
    sentence = f"pool {boxes[0].pool_id}: order d is reserved since 2024-02-03 04:05:06 UTC"
    assert sentence == str(finding)


async def test_books_metric_counts_orders_that_are_reserved_for_long(
    boxes: list[BoxCampaign],
) -> None:
    """X3: the watch balances unlimited and finite boxes, and shows what the sweeper left."""
    first, second = boxes
    auditor = Auditor(first.postgres, first.redis)
    infinite = await open_box(
        first.postgres, first.redis, ItemSpec(None, 5), ItemSpec(3), kind="infinite"
    )
    await infinite.buy((1, "i", 20))
    await infinite.record()
    await infinite.buy((1, "j", 20))
    await first.execute(
        "UPDATE orders SET updated_at = now() - interval '6 minutes'"
        " WHERE pool_id = $1 AND order_num = 'd'"
    )
    await BooksWatch(auditor).look()
    counts = [
        REGISTRY.get_sample_value("kuji_books_findings", {"pool": str(box.pool_id)})
        for box in (first, second, infinite)
    ]
    assert [1, 0, 0] == counts


async def test_reconcile_prints_what_is_found_in_boxes(
    boxes: list[BoxCampaign], postgres_dsn: str, redis_url: str
) -> None:
    """An order's number is shown as it is, whatever its shop calls it."""
    stores = {"KUJI_POSTGRES_DSN": postgres_dsn, "KUJI_REDIS_URL": redis_url}
    balanced = await run_kuji("reconcile", **stores)
    assert (0, "✓ the books balance (2 pools)\n") == balanced[:2]
    await boxes[0].execute(
        "UPDATE orders SET order_num = '[/] [red]d', updated_at = now() - interval '6 minutes'"
        " WHERE pool_id = $1 AND order_num = 'd'"
    )
    ran = await run_kuji("reconcile", **stores)
    assert 1 == ran.code
    assert "order [/] [red]d is reserved since 20" in ran.out
    assert "✗ 1 finding in 2 pools" in ran.out
