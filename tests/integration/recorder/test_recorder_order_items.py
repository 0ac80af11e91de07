"""What the recorder writes for blind boxes, besides what it writes for every pool."""

import asyncio
from collections import Counter, defaultdict
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.orders import GoodslistType
from services.pool.ledger.entries import decode_entry
from services.pool.store.keys import ledger_key
from services.recorder import boxes, locks, order_items
from services.recorder import recording as recording_steps
from services.recorder import writer as steps
from services.recorder.connections import open_postgres
from services.recorder.locks import open_locks
from services.recorder.recording import record
from services.recorder.settings import RecorderSettings
from tests.support.blindbox import Box, ItemSpec
from tests.support.box_sales import Item, Shop, open_shop
from tests.support.history import eventually, make_users, recording

ICHIBAN = (
    ItemSpec(stock=2, shang=0),
    ItemSpec(stock=4, shang=1),
    ItemSpec(stock=1, shang=2, is_last_prize=True),
)
INFINITE = (ItemSpec(stock=None, weight=70), ItemSpec(stock=500, weight=30, shang=1))
LEVELS = ("A", "B", "Last")


async def until_recorded(shop: Shop, *boxes: Box) -> None:
    """Wait until all that was drawn from *boxes* is in Postgres."""
    newest = {box.pool_id: 0 for box in boxes}
    newest.update({item.box.pool_id: item.seq for item in shop.items})

    async def is_recorded() -> bool:
        rows = await shop.postgres.fetch("SELECT id, recorded_seq FROM pools")
        seqs = {row["id"]: row["recorded_seq"] for row in rows}
        return all(seqs[box.pool_id] >= newest[box.pool_id] for box in boxes)

    await eventually(is_recorded)


async def order_items_of(shop: Shop) -> list[dict[str, Any]]:
    """All order items of the goods, by goods_no."""
    rows = await shop.postgres.fetch(
        "SELECT * FROM order_items WHERE goods_id = $1 ORDER BY goods_no", shop.shelf.goods_id
    )
    return [dict(row) for row in rows]


def expected_row(shop: Shop, item: Item, order_type: int) -> dict[str, Any]:
    """The order item that *item* must have left, but for its numbers and its time."""
    kind = GoodslistType.LAST_PRIZE if item.is_last_prize else GoodslistType.ORDINARY
    return {
        "id": item.id,
        "order_id": item.order_id,
        "pool_id": item.box.pool_id,
        "seq": item.seq,
        "user_id": item.user_id,
        "goods_id": shop.shelf.goods_id,
        "num": item.box.num,
        "goodslist_id": shop.shelf.item_ids[item.place],
        "goodslist_type": kind,
        "shang_id": shop.shang_id(item),
        "prize_code": item.prize_code,
        "luck_no": item.luck_no,
        "source": 1,
        "status": 1,
        "order_type": order_type,
    }


def assert_numbers_are_gap_free(shop: Shop, rows: list[dict[str, Any]]) -> None:
    """goods_no counts 1, 2, 3, …; so does shang_no within each level, in the same order."""
    assert list(range(1, len(rows) + 1)) == [row["goods_no"] for row in rows]
    levels: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        levels[row["shang_id"]].append(row["shang_no"])
    assert {key: list(range(1, len(nos) + 1)) for key, nos in levels.items()} == levels


async def test_box_bought_empty_leaves_an_order_item_for_every_item(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """P8: each draw leaves one order item, the last prize too, with the fields of its order."""
    users = await make_users(postgres, 3)
    shop = await open_shop(postgres, redis, *ICHIBAN, shangs=LEVELS)
    box = await shop.open_box()
    bought = [
        await shop.buy(box, user, count) for user, count in zip(users, (3, 1, 2), strict=True)
    ]
    async with recording(postgres_dsn, redis_url):
        await until_recorded(shop, box)
    rows = await order_items_of(shop)
    expected = [expected_row(shop, item, 1) for one in bought for item in one.items]
    assert expected == [{key: row[key] for key in expected[0]} for row in rows]
    assert 7 == len(rows)
    assert_numbers_are_gap_free(shop, rows)
    drawn_ms = [int(row["created_at"].timestamp() * 1000 + 0.5) for row in rows]
    assert [item.drawn_ms for item in shop.items] == drawn_ms


orders = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 5), st.booleans(), st.booleans()),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example has its own goods
)
@given(kind=st.sampled_from(["ichiban", "infinite"]), orders=orders, split=st.integers(0, 9))
async def test_completed_draws_leave_one_order_item_each(
    postgres: asyncpg.Pool,
    redis: Redis,
    kind: str,
    orders: list[tuple[int, int, bool, bool]],
    split: int,
) -> None:
    """
    P8: whatever is ordered, by card or not, marked or not, recorded in one go or two.

    Each draw leaves one order item: user, goods, item, level, a unique prize code, source 1, the
    right order type; and each order is drawn, where its draw was.
    """
    specs = INFINITE if kind == "infinite" else (ItemSpec(stock=30), ItemSpec(stock=12, shang=1))
    shop = await open_shop(postgres, redis, *specs, kind=kind, shangs=LEVELS)
    box = await shop.open_box()
    bought = [
        await (shop.buy_by_card(box, user) if card else shop.buy(box, user, count, mark=mark))
        for user, count, card, mark in orders
    ]
    await shop.record(box, split)
    await shop.record(box)
    rows = await order_items_of(shop)
    expected = [expected_row(shop, item, one.order_type) for one in bought for item in one.items]
    assert expected == [{key: row[key] for key in expected[0]} for row in rows]
    assert_numbers_are_gap_free(shop, rows)
    places = [(one.order_id, "drawn", one.items[0].seq, len(one.items)) for one in bought]
    found = await postgres.fetch(
        "SELECT id, status, first_seq, places FROM orders WHERE pool_id = $1 ORDER BY id",
        box.pool_id,
    )
    assert places == [tuple(row) for row in found]


async def test_prizes_and_counters_count_what_boxes_gave(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """won_count follows, unlimited stock too; item_counters hold the newest numbers."""
    shop = await open_shop(postgres, redis, *INFINITE, kind="infinite", shangs=LEVELS)
    box = await shop.open_box()
    await shop.buy(box, 1, 60)
    await shop.record(box)
    won = Counter(item.place for item in shop.items)
    assert {0, 1} == set(won)
    prizes = await postgres.fetch(
        "SELECT won_count, total_count, remaining_count FROM prizes ORDER BY id"
    )
    assert [(won[0], None, None), (won[1], 500, 500 - won[1])] == [tuple(row) for row in prizes]
    counters = await postgres.fetch("SELECT * FROM item_counters ORDER BY shang_id")
    goods_id, (first, second, _) = shop.shelf.goods_id, shop.shelf.shang_ids
    assert [(goods_id, 0, 60), (goods_id, first, won[0]), (goods_id, second, won[1])] == [
        tuple(row) for row in counters
    ]


async def test_numbers_have_no_gap_when_boxes_of_one_goods_are_recorded_at_once(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Two recorders on six boxes of the same goods: no deadlock, no number twice, none missing."""
    users = await make_users(postgres, 4)
    items = (ItemSpec(stock=40), ItemSpec(stock=40, shang=1), ItemSpec(stock=40, shang=2))
    shop = await open_shop(postgres, redis, *items, shangs=LEVELS)
    boxes = [await shop.open_box() for _ in range(6)]

    async def buy_all(box: Box) -> None:
        for turn in range(30):
            await shop.buy(box, users[turn % 4], 4, mark=turn % 2 == 0)

    async with (
        recording(postgres_dsn, redis_url, batch_draws=8),
        recording(postgres_dsn, redis_url, batch_draws=8),
    ):
        await asyncio.gather(*(buy_all(box) for box in boxes))
        await until_recorded(shop, *boxes)
    rows = await order_items_of(shop)
    assert 720 == len(rows)
    assert sorted(item.id for item in shop.items) == sorted(row["id"] for row in rows)
    assert_numbers_are_gap_free(shop, rows)
    for box in boxes:
        seqs = [row["seq"] for row in rows if row["pool_id"] == box.pool_id]
        assert list(range(1, 121)) == seqs


_MOVE_TO_ANOTHER_POOL = """
    INSERT INTO pools (id, mode, seed_commitment) SELECT 99, mode, seed_commitment FROM pools;
    UPDATE orders SET pool_id = 99;
"""


async def until_halted(postgres: asyncpg.Pool, pool_id: int) -> str:
    """Wait for the pool to be halted; the reason."""

    async def reason() -> str:
        found: str = await postgres.fetchval(
            "SELECT halted_reason FROM pools WHERE id = $1", pool_id
        )
        return found

    async def is_halted() -> bool:
        return await reason() != ""

    await eventually(is_halted)
    return await reason()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE orders SET draw_request_id = 'order:other'", "has no order of user"),
        ("UPDATE orders SET user_id = user_id + 1", "has no order of user"),
        (_MOVE_TO_ANOTHER_POOL, "has no order of user"),
        ("UPDATE orders SET status = 'released'", "was released"),
    ],
    ids=["unknown", "foreign", "another box's", "released"],
)
async def test_draw_without_its_order_halts_the_pool_and_records_nothing(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str, change: str, said: str
) -> None:
    """What nobody ordered is an alarm, and is never given to anybody."""
    shop = await open_shop(postgres, redis, *ICHIBAN, shangs=LEVELS)
    box = await shop.open_box()
    await shop.buy(box, 7, mark=False)
    await postgres.execute(change)
    async with recording(postgres_dsn, redis_url):
        reason = await until_halted(postgres, box.pool_id)
    assert ("LedgerViolationError", True) == (reason.split(":")[0], said in reason)
    assert [] == await order_items_of(shop)
    assert 0 == await postgres.fetchval("SELECT count(*) FROM lottery_records")


async def test_order_may_be_placed_while_its_box_is_being_recorded(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long batch holds up nobody who orders from the same box, or marks what was drawn."""
    shop = await open_shop(postgres, redis, *ICHIBAN, shangs=LEVELS)
    box = await shop.open_box()
    bought = await shop.buy(box, 1, mark=False)
    written, go_on = asyncio.Event(), asyncio.Event()
    add = order_items.add_order_items

    async def paused(*args: Any) -> None:
        await postgres.execute(
            "UPDATE orders SET status = 'drawn', first_seq = 1, places = 1 WHERE id = $1",
            bought.order_id,
        )
        await add(*args)
        written.set()
        await go_on.wait()

    monkeypatch.setattr(steps, "add_order_items", paused)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(shop.record(box))
        await written.wait()
        order_id = await shop.shelf.order(box, "meanwhile", 2)
        go_on.set()
    assert bought.order_id < order_id
    assert [bought.items[0].id] == [row["id"] for row in await order_items_of(shop)]


STEPS = [
    (recording_steps, "_lock"),
    (steps, "_count_prizes"),
    (steps, "_advance"),
    (boxes, "_load"),
    (order_items, "mark_orders"),
    (order_items, "_take_numbers"),
    (steps, "add_order_items"),
    (steps, "_add_winners"),
]


class Died(BaseException):
    """The process is gone; nothing catches it."""


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _, step in STEPS])
async def test_order_items_are_there_once_when_recorder_dies_within_a_transaction(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    step: str,
) -> None:
    """After any statement of the second batch, death undoes that batch alone; the next goes on."""
    shop = await open_shop(postgres, redis, *ICHIBAN, shangs=LEVELS)
    box = await shop.open_box()
    for user in (1, 2, 3):
        await shop.buy(box, user, 2, mark=user != 2)
    await shop.record(box, 2)  # the configuration and the first order
    raw: Any = await redis.xrange(ledger_key(box.pool_id))
    entries = [decode_entry(*one) for one in raw]
    done = getattr(module, step)

    async def dies(*args: Any) -> None:
        await done(*args)
        raise Died

    connection = await asyncpg.connect(postgres_dsn)
    with monkeypatch.context() as patch:
        patch.setattr(module, step, dies)
        with pytest.raises(Died):
            await record(connection, box.pool_id, entries, {})
    connection.terminate()
    assert [item.id for item in shop.items[:2]] == [r["id"] for r in await order_items_of(shop)]
    async with recording(postgres_dsn, redis_url):
        await until_recorded(shop, box)
    rows = await order_items_of(shop)
    assert [item.id for item in shop.items] == [row["id"] for row in rows]
    assert_numbers_are_gap_free(shop, rows)
    assert ["drawn"] * 3 == [r[0] for r in await postgres.fetch("SELECT status FROM orders")]


async def test_configuration_of_a_box_that_was_not_committed_sets_the_version_alone(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """The rest of a lost publication is the finisher's: it sees the box behind its goods."""
    shop = await open_shop(postgres, redis, *INFINITE, kind="infinite", shangs=LEVELS)
    box = await shop.open_box()
    box.config.prizes[0].name = "Renamed"
    await shop.publish(box)
    await postgres.execute("UPDATE pools SET version = 0")
    before = await postgres.fetch("SELECT * FROM prizes, goods, boxes ORDER BY prizes.id")
    await shop.record(box)
    assert before == await postgres.fetch("SELECT * FROM prizes, goods, boxes ORDER BY prizes.id")
    assert box.version == await postgres.fetchval("SELECT version FROM pools")


async def test_ended_box_is_let_be_once_its_end_is_recorded(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Boxes end by the thousand, and cost the recorder nothing; what is published anew is seen."""
    shop = await open_shop(postgres, redis, *ICHIBAN, shangs=LEVELS)
    ended, live = await shop.open_box(), await shop.open_box()
    for box in (ended, live):
        await shop.buy(box, 1)
        await shop.record(box)
    ended.config.status = pool_pb2.POOL_STATUS_ENDED
    await shop.publish(ended)
    await postgres.execute("UPDATE boxes SET is_ended = true WHERE num = 1")
    assert {ended.pool_id, live.pool_id} == await taken(postgres_dsn)
    await shop.record(ended)
    assert {live.pool_id} == await taken(postgres_dsn)


async def test_ended_box_is_given_back_by_a_recorder_that_runs(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A recorder that runs for months does not gather the boxes that have ended meanwhile."""
    shop = await open_shop(postgres, redis, *ICHIBAN, shangs=LEVELS)
    ended, live = await shop.open_box(), await shop.open_box()

    async def is_held(pool_id: int) -> bool:
        # See take_pools: the low half of a lock's number is its objid.
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::oid"
        return bool(await postgres.fetchval(locks, pool_id))

    async with recording(postgres_dsn, redis_url):
        await eventually(lambda: is_held(ended.pool_id))
        await postgres.execute("UPDATE boxes SET is_ended = true WHERE num = 1")
        ended.config.status = pool_pb2.POOL_STATUS_ENDED
        await shop.publish(ended)

        async def is_let_go() -> bool:
            return not await is_held(ended.pool_id)

        await eventually(is_let_go)
        assert await is_held(live.pool_id)


async def taken(dsn: str) -> set[int]:
    """The pools that a recorder takes when it starts."""
    async with open_locks(dsn, timeout_s=10) as locks:
        return {pool.pool_id for pool in await locks.take(())}


async def test_orders_are_found_by_key_when_the_table_is_small(
    postgres_dsn: str, redis_url: str
) -> None:
    """The cost of a batch does not grow with the orders, whatever the statistics say."""
    told = RecorderSettings(listen="", postgres_dsn=postgres_dsn, redis_url=redis_url)
    async with open_postgres(told) as connections:
        plan = await connections.fetch(
            "EXPLAIN " + order_items._queries.orders_of_draws.sql, ["order:1", "order:2"]
        )
    lines = [row[0] for row in plan]
    assert any("Index Scan using orders_draw on" in line for line in lines), lines


async def test_ended_boxes_are_not_even_looked_at(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str
) -> None:
    """Several times a second pools are looked for: it costs what the live ones cost."""
    shop = await open_shop(postgres, redis, *ICHIBAN, shangs=LEVELS)
    boxes = [await shop.open_box() for _ in range(40)]
    for box in boxes:
        await shop.record(box)
    await postgres.execute("UPDATE boxes SET is_ended = true WHERE num > 3")
    await postgres.execute("ANALYZE pools, boxes, activities")
    async with postgres.acquire() as connection:
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = await connection.fetch(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "
            + locks._queries.take_pools.sql,
            [],
        )
    lines = [row[0] for row in plan]
    scans = [line for line in lines if " on pools " in line or " on boxes" in line]
    assert all("rows=3.00" in line or "rows=0.00" in line for line in scans), lines
    assert not any("Rows Removed by Filter: 37" in line for line in lines), lines
    assert {box.pool_id for box in boxes[:3]} == await taken(postgres_dsn)
