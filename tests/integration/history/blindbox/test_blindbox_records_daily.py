"""Today's winning records of goods, over all their boxes, recorded or not yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kuji.blindbox.v1 import records_pb2 as pb
from redis.asyncio import Redis
from structlog.testing import capture_logs

from services.common.errors import GoodsNotFoundError
from services.common.timestamps import datetime_of_ms
from services.history.assembly import HistoryParts
from services.history.blindbox import records
from services.history.blindbox.records import RecordReader, WinningRecord
from services.history.blindbox.tail import LedgerTails
from services.pool.store.keys import ledger_key
from tests.support.blindbox import ItemSpec
from tests.support.box_sales import Item, Shop, open_shop
from tests.support.history import ANYONE, history_of, make_users

ITEMS = (ItemSpec(9), ItemSpec(6, shang=1), ItemSpec(1, shang=2, is_last_prize=True))
LEVELS = ("A", "B", "Last")


def time_zone_at_noon() -> str:
    """One in which midnight is hours away, so that no test runs over it."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"


async def sold_boxes(postgres: asyncpg.Pool, redis: Redis) -> Shop:
    """Three boxes drawn from in turn, one to the end; one is recorded whole, one half, one not."""
    await make_users(postgres, 4)
    shop = await open_shop(postgres, redis, *ITEMS, shangs=LEVELS)
    boxes = [await shop.open_box() for _ in range(3)]
    for turn in range(5):
        for box in boxes:
            await shop.buy(box, turn % 4 + 1, 3 if box is boxes[0] else 1 + turn % 2)
    await shop.record(boxes[0])
    await shop.record(boxes[1], 3)
    return shop


def newest_first(items: Sequence[Item]) -> list[Item]:
    """*items* by their time; within a millisecond, by box and place."""
    return sorted(items, key=lambda i: (i.drawn_ms, i.box.pool_id, i.seq), reverse=True)


async def today(history: HistoryParts, shop: Shop) -> list[pb.WinningRecord]:
    """Today's records."""
    request = pb.ListDailyRecordsRequest(goods_id=shop.shelf.goods_id)
    return list((await history.blindbox.ListDailyRecords(request, ANYONE)).records)


async def test_today_lists_what_all_boxes_gave(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Every draw once, newest first, whether recorded or not; the last prize too."""
    shop = await sold_boxes(postgres, redis)
    async with history_of(postgres_dsn, redis_url, time_zone=time_zone_at_noon()) as history:
        rows = await today(history, shop)
    items = newest_first(shop.items)
    names = {1: "u***0", 2: "u***1", 3: "u***2", 4: "u***3"}
    assert [
        pb.WinningRecord(
            id=item.id,
            nickname=names[item.user_id],
            shang_id=shop.shang_id(item),
            shang_title=LEVELS[ITEMS[item.place].shang],
            shang_color="#c00000",
            goodslist_title="A mug",
            goodslist_imgurl=f"https://img.example/{item.place}.png",
            luck_no=item.luck_no,
            addtime=item.drawn_ms // 1000,
            num=item.box.num,
            draw_id=item.draw_id,
        )
        for item in items
    ] == rows
    assert 1 == sum(item.is_last_prize for item in items)


async def test_yesterday_is_not_listed(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A day ends at midnight of the configured time zone."""
    shop = await open_shop(postgres, redis, *ITEMS, shangs=LEVELS)
    box = await shop.open_box()
    for user in (1, 2, 3):
        await shop.buy(box, user)
    await shop.record(box)
    zone = time_zone_at_noon()
    await postgres.execute(
        "UPDATE order_items SET created_at = date_trunc('day', now(), $1)"
        " - (3 - seq) * interval '1 millisecond'",
        zone,
    )
    async with history_of(postgres_dsn, redis_url, time_zone=zone) as history:
        rows = await today(history, shop)
    assert [shop.items[2].id] == [row.id for row in rows]


@dataclass(frozen=True)
class Counter:
    """Sold boxes, and who reads them."""

    shop: Shop
    reader: RecordReader


@pytest.fixture
async def counter(postgres: asyncpg.Pool, redis: Redis) -> Counter:
    """See sold_boxes."""
    shop = await sold_boxes(postgres, redis)
    return Counter(shop, RecordReader(postgres, LedgerTails(redis, 10_000)))


async def since(counter: Counter, moment: datetime, size: int) -> list[WinningRecord]:
    """The records from a moment on."""
    goods_id = counter.shop.shelf.goods_id
    drawn = await counter.reader.drawn(goods_id)
    return await counter.reader.since(goods_id, drawn, moment, size)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the examples only read
)
@given(after=st.integers(0, 40), size=st.integers(1, 50))
async def test_records_since_a_moment_are_the_newest_of_those_after_it(
    counter: Counter, after: int, size: int
) -> None:
    """P2: from any moment on: at most so many, the newest, newest first, from either source."""
    items = counter.shop.items
    since_ms = items[after].drawn_ms if after < len(items) else items[-1].drawn_ms + 1
    rows = await since(counter, datetime_of_ms(since_ms), size)
    drawn = newest_first([item for item in items if item.drawn_ms >= since_ms])
    assert [item.id for item in drawn[:size]] == [row.id for row in rows]


async def test_day_is_listed_anew_only_when_there_is_more_of_it(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many ask; and a draw is on the list at once, recorded or not."""
    shop = await sold_boxes(postgres, redis)
    box, listed = shop.shelf.boxes[2], RecordReader.since
    listings: list[int] = []

    async def counting(*arguments: Any) -> list[WinningRecord]:
        listings.append(1)
        return await listed(*arguments)

    monkeypatch.setattr(RecordReader, "since", counting)
    # A second of this machine may be long: what is kept is kept for the length of the test.
    told: dict[str, Any] = {"time_zone": time_zone_at_noon(), "page_age_s": 3600}
    async with history_of(postgres_dsn, redis_url, **told) as history:

        async def newest() -> tuple[str, int]:
            rows = [await today(history, shop) for _ in range(5)][-1]
            return rows[0].draw_id, len(listings)

        assert (newest_first(shop.items)[0].draw_id, 1) == await newest()
        await shop.buy(box, 1)
        assert (shop.items[-1].draw_id, 2) == await newest()
        await shop.record(box)
        assert (shop.items[-1].draw_id, 3) == await newest()


async def test_no_more_than_the_newest_are_listed(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """The bound is a setting."""
    shop = await sold_boxes(postgres, redis)
    told: dict[str, Any] = {"time_zone": time_zone_at_noon(), "daily_records": 5}
    async with history_of(postgres_dsn, redis_url, **told) as history:
        rows = await today(history, shop)
    assert [item.id for item in newest_first(shop.items)[:5]] == [row.id for row in rows]


@pytest.mark.parametrize("trimmed", [False, True], ids=["recorded", "recorded and trimmed"])
async def test_day_is_whole_when_the_recorder_overtakes_the_reader(
    counter: Counter, redis: Redis, monkeypatch: pytest.MonkeyPatch, trimmed: bool
) -> None:
    """Draws that are recorded between the reader's two looks come once; trimmed ones come too."""
    shop, read = counter.shop, LedgerTails._read

    async def overtaken(tails: LedgerTails, after_seqs: Any) -> Any:
        for box in shop.shelf.boxes:
            await shop.record(box, 5)
            if trimmed:
                await redis.xtrim(ledger_key(box.pool_id), maxlen=1, approximate=False)
        return await read(tails, after_seqs)

    monkeypatch.setattr(LedgerTails, "_read", overtaken)
    rows = await since(counter, datetime.now(UTC) - timedelta(days=1), 100)
    assert [item.id for item in newest_first(shop.items)] == [row.id for row in rows]


async def test_only_what_is_recorded_is_listed_when_too_much_is_not(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """The bound counts the unrecorded draws of all boxes together."""
    shop = await sold_boxes(postgres, redis)
    recorded = await postgres.fetch("SELECT id FROM order_items")
    missing = len(shop.items) - len(recorded)
    told = {"time_zone": time_zone_at_noon(), "tail_draws": missing - 1}
    async with history_of(postgres_dsn, redis_url, **told) as history:
        with capture_logs() as logs:
            rows = await today(history, shop)
    assert {row["id"] for row in recorded} == {row.id for row in rows}
    assert ["warning"] == [log["log_level"] for log in logs]


async def test_day_of_goods_that_are_not_there_is_not_found(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Unknown goods have no list; goods off the shelf, and such as have no box, have one."""
    shop = await open_shop(postgres, redis, *ITEMS, shangs=LEVELS, on_shelf=False)
    async with history_of(postgres_dsn, redis_url) as history:
        for goods_id in (0, 10**6):
            with pytest.raises(GoodsNotFoundError):
                await history.blindbox.ListDailyRecords(
                    pb.ListDailyRecordsRequest(goods_id=goods_id), ANYONE
                )
        assert [] == await today(history, shop)


async def test_day_reads_its_newest_by_the_index(postgres: asyncpg.Pool, redis: Redis) -> None:
    """A busy day is not read whole for its newest records."""
    shop = await open_shop(postgres, redis, ItemSpec(None, 1), kind="infinite")
    box = await shop.open_box()
    for _ in range(30):
        await shop.buy(box, 1, 100)
    await shop.record(box)
    await postgres.execute("ANALYZE")
    plan = await postgres.fetch(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "
        + records._queries.recorded_since.sql,
        shop.shelf.goods_id,
        datetime_of_ms(shop.items[0].drawn_ms),
        3000,
        5,
    )
    (scan,) = [row[0] for row in plan if "order_items" in row[0]]
    assert "Index Scan Backward using order_items_day" in scan, plan
    assert any(f"rows={rows}" in scan for rows in range(101, 202)), scan  # one order's, or two
