"""Winning records of infinite goods: pages over Postgres and the ledger's tail."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kuji.blindbox.v1 import records_pb2 as pb
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis
from structlog.testing import capture_logs

from services.common.errors import GoodsNotFoundError
from services.history.assembly import HistoryParts
from services.history.blindbox import records
from services.history.blindbox.tail import LedgerTails
from services.pool.store.keys import ledger_key
from tests.support.blindbox import Box, ItemSpec
from tests.support.box_sales import Item, Shop, open_shop
from tests.support.history import ANYONE, history_of, make_users, recording

ITEMS = (
    ItemSpec(None, 50, "Pin"),
    ItemSpec(500, 30, "Fan", shang=1),
    ItemSpec(None, 20, "Cap", shang=1),
)
LEVELS = ("A", "B", "C")
DRAWS = 41
SPLITS = (0, 1, 14, DRAWS - 1, DRAWS)  # so many of the draws are recorded


@dataclass(frozen=True)
class Reader:
    """Infinite goods and the history service that reads them."""

    history: HistoryParts
    shop: Shop

    def items(self, level: int) -> list[Item]:
        """What was drawn of the level, 1 to 3, or of all (0), newest first."""
        levels = {0: self.shop.shelf.shang_ids}.get(level) or [self.level_id(level)]
        return [item for item in reversed(self.shop.items) if self.shop.shang_id(item) in levels]

    def level_id(self, level: int) -> int:
        """shang_id of the level; 0: 0, all."""
        return level and self.shop.shelf.shang_ids[level - 1]

    async def page(self, **request: Any) -> pb.ListInfiniteRecordsResponse:
        """The page asked for."""
        return await self.history.blindbox.ListInfiniteRecords(
            pb.ListInfiniteRecordsRequest(goods_id=self.shop.shelf.goods_id, **request), ANYONE
        )


async def open_infinite(postgres: asyncpg.Pool, redis: Redis) -> tuple[Shop, Box]:
    """Infinite goods with their box; its users have names."""
    await make_users(postgres, 5)
    shop = await open_shop(postgres, redis, *ITEMS, kind="infinite", shangs=LEVELS)
    return shop, await shop.open_box()


@pytest.fixture
async def readers(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> AsyncIterator[Sequence[Reader]]:
    """Goods with 41 draws each of which a part is recorded, see SPLITS; and goods without any."""
    await make_users(postgres, 5)
    async with history_of(postgres_dsn, redis_url) as history:
        readers = []
        for recorded in (*SPLITS, None):
            shop = await open_shop(postgres, redis, *ITEMS, kind="infinite", shangs=LEVELS)
            box = await shop.open_box()
            for n in range(0 if recorded is None else DRAWS):
                await shop.buy(box, n % 5 + 1)
            if recorded:
                await shop.record(box, 1 + recorded)
            readers.append(Reader(history, shop))
        yield readers


def ids_of(page: pb.ListInfiniteRecordsResponse) -> list[int]:
    """Ids of a page's rows."""
    return [row.id for row in page.data]


only_reading = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@only_reading
@given(
    which=st.integers(0, len(SPLITS)),
    level=st.integers(0, 3),
    number=st.integers(1, 45),
    size=st.integers(1, 100),
)
async def test_page_is_a_slice_of_all_that_was_drawn(
    readers: Sequence[Reader], which: int, level: int, number: int, size: int
) -> None:
    """P2: page P of size S: a subset of the records, at most S of them, newest first."""
    reader = readers[which]
    drawn = [item.id for item in reader.items(level)]
    page = await reader.page(page=number, page_size=size, shang_id=reader.level_id(level))
    assert drawn[(number - 1) * size : number * size] == ids_of(page)
    assert len(page.data) <= size
    assert max(1, -(-len(drawn) // size)) == page.last_page


@only_reading
@given(which=st.integers(0, len(SPLITS)), level=st.integers(0, 3), number=st.integers(1, 5))
async def test_level_filter_gives_that_level_only(
    readers: Sequence[Reader], which: int, level: int, number: int
) -> None:
    """P3: a level filter > 0 returns that level only; 0 returns all levels."""
    reader = readers[which]
    page = await reader.page(page=number, page_size=10, shang_id=reader.level_id(level))
    drawn = reader.items(level)[(number - 1) * 10 : number * 10]
    assert [reader.shop.shang_id(item) for item in drawn] == [row.shang_id for row in page.data]
    if level:
        assert {row.shang_id for row in page.data} <= {reader.level_id(level)}


@pytest.mark.parametrize("recorded", [True, False], ids=["postgres", "ledger"])
async def test_record_shows_who_won_what_masked(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str, recorded: bool
) -> None:
    """The same row before and after it is recorded; a user unknown to Postgres is shown too."""
    (user, *_) = await make_users(postgres, 1)
    shop = await open_shop(postgres, redis, ITEMS[1], kind="infinite", shangs=LEVELS)
    box = await shop.open_box()
    await shop.buy(box, user)
    await shop.buy(box, 10**6, mark=False)
    if recorded:
        await shop.record(box)
    async with history_of(postgres_dsn, redis_url) as history:
        page = await Reader(history, shop).page()
    assert [
        pb.WinningRecord(
            id=item.id,
            nickname=nickname,
            shang_id=shop.shelf.shang_ids[1],
            shang_title="B",
            shang_color="#c00000",
            goodslist_title="Fan",
            goodslist_imgurl="https://img.example/0.png",
            luck_no=item.luck_no,
            addtime=item.drawn_ms // 1000,
            num=1,
            draw_id=item.draw_id,
        )
        for item, nickname in zip(reversed(shop.items), ["***", "u***0"], strict=True)
    ] == list(page.data)


async def test_records_stay_readable_when_the_goods_are_off_the_shelf(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Off the shelf or ended, what was won was won."""
    shop, box = await open_infinite(postgres, redis)
    await shop.buy(box, 1, 3)
    await postgres.execute("UPDATE goods SET on_shelf = false, is_ended = true")
    async with history_of(postgres_dsn, redis_url) as history:
        page = await Reader(history, shop).page()
    assert [item.id for item in reversed(shop.items)] == ids_of(page)


async def test_records_of_goods_that_are_not_there_are_not_found(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Unknown goods, and ichiban goods, have no such list; infinite ones without a box have one."""
    ichiban = await open_shop(postgres, redis, ItemSpec())
    boxless = await open_shop(postgres, redis, ITEMS[0], kind="infinite")
    async with history_of(postgres_dsn, redis_url) as history:
        for goods_id in (0, 10**6, ichiban.shelf.goods_id):
            with pytest.raises(GoodsNotFoundError):
                await history.blindbox.ListInfiniteRecords(
                    pb.ListInfiniteRecordsRequest(goods_id=goods_id), ANYONE
                )
        assert pb.ListInfiniteRecordsResponse(last_page=1) == await Reader(history, boxless).page()


async def test_level_of_other_goods_is_empty(readers: Sequence[Reader]) -> None:
    """Levels belong to their goods."""
    foreign = readers[1].level_id(1)
    empty = pb.ListInfiniteRecordsResponse(last_page=1)
    assert empty == await readers[2].page(shang_id=foreign)


async def test_pages_hold_every_draw_once_while_the_recorder_works(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """
    P2: nothing twice, nothing missing, from the moment it is answered.

    Four buyers draw, the recorder writes small batches and trims close behind them, and pages are
    read all the while, over all levels and of one.
    """
    shop, box = await open_infinite(postgres, redis)
    buying, pages = 4, 0

    async def buy(user: int) -> None:
        nonlocal buying
        for _ in range(60):
            await shop.buy(box, user, 2)
        buying -= 1

    async def read(reader: Reader, level: int) -> None:
        nonlocal pages
        while buying:
            answered = {item.seq for item in reader.items(level)}
            page = await reader.page(page_size=100, shang_id=reader.level_id(level))
            check_page(reader, level, answered, page)
            pages += 1

    async with (
        history_of(postgres_dsn, redis_url) as history,
        recording(postgres_dsn, redis_url, batch_draws=8, ledger_keep_draws=1),
        asyncio.TaskGroup() as tasks,
    ):
        for user in range(1, 5):
            tasks.create_task(buy(user))
        for level in (0, 2):
            tasks.create_task(read(Reader(history, shop), level))
    assert pages > 20


def check_page(
    reader: Reader, level: int, answered: set[int], page: pb.ListInfiniteRecordsResponse
) -> None:
    """The first page is the newest draws of the level, those answered before among them."""
    seqs = [int(row.draw_id.partition("-")[2]) for row in page.data]
    newest = seqs[0] if seqs else 0
    assert max(answered, default=0) <= newest
    # Answers reach the buyers in another order than the ledger's, and may not have reached them.
    known = sorted((item.seq for item in reader.items(level)), reverse=True)
    assert [seq for seq in known if seq <= newest][:100] == [seq for seq in seqs if seq in known]
    assert len(set(seqs)) == len(seqs)
    if not level:
        assert list(range(newest, newest - len(seqs), -1)) == seqs
        assert max(1, -(-newest // 100)) == page.last_page


@pytest.mark.parametrize("trimmed", [False, True], ids=["recorded", "recorded and trimmed"])
async def test_page_is_whole_when_the_recorder_overtakes_the_reader(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    trimmed: bool,
) -> None:
    """Draws that are recorded between the reader's two looks come once; trimmed ones come too."""
    shop, box = await open_infinite(postgres, redis)
    for user in range(1, 5):
        await shop.buy(box, user, 2)
    await shop.record(box, 2)
    read = LedgerTails._read

    async def overtaken(tails: LedgerTails, after_seqs: Any) -> Any:
        await shop.record(box, 4)
        if trimmed:
            await redis.xtrim(ledger_key(box.pool_id), minid="6", approximate=False)
        return await read(tails, after_seqs)

    monkeypatch.setattr(LedgerTails, "_read", overtaken)
    async with history_of(postgres_dsn, redis_url) as history:
        page = await Reader(history, shop).page()
    assert [item.id for item in reversed(shop.items)] == ids_of(page)


async def test_page_is_read_when_the_ledger_has_a_gap(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A gap that nobody has noted yet stops the recorder, not the readers."""
    shop, box = await open_infinite(postgres, redis)
    for user in range(1, 4):
        await shop.buy(box, user)
    await redis.xdel(ledger_key(box.pool_id), "1-0")
    async with history_of(postgres_dsn, redis_url) as history:
        page = await Reader(history, shop).page()
    assert [item.id for item in reversed(shop.items[1:])] == ids_of(page)


async def test_only_what_is_recorded_is_listed_when_too_much_is_not(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A recorder that is far behind makes the list old, and is logged; it does not make it slow."""
    shop, box = await open_infinite(postgres, redis)
    for user in range(1, 5):
        await shop.buy(box, user)
    await shop.record(box, 2)
    async with history_of(postgres_dsn, redis_url, tail_draws=2) as history:
        with capture_logs() as logs:
            page = await Reader(history, shop).page()
    assert [shop.items[0].id] == ids_of(page)
    assert ["warning"] == [log["log_level"] for log in logs]


async def test_long_tail_is_read_in_parts(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """More entries than one read takes, with configurations between them."""
    shop, box = await open_infinite(postgres, redis)
    for n in range(205):
        await shop.buy(box, n % 5 + 1)
        if n % 50 == 0:
            await shop.publish(box)
    async with history_of(postgres_dsn, redis_url) as history:
        page = await Reader(history, shop).page(page=3, page_size=100)
    assert ([item.id for item in reversed(shop.items[:5])], 3) == (ids_of(page), page.last_page)


async def test_box_that_is_sold_out_as_recorded_is_read_without_redis(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str
) -> None:
    """No draw can come after its last one, so nobody need ask."""
    shop = await open_shop(postgres, redis, ItemSpec(3), kind="infinite")
    box = await shop.open_box()
    await shop.buy(box, 1, 3)
    await shop.record(box)
    async with history_of(postgres_dsn, "redis://127.0.0.1:1/0") as history:
        page = await Reader(history, shop).page()
    assert [item.id for item in reversed(shop.items)] == ids_of(page)


async def test_box_whose_end_is_recorded_is_read_without_redis(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Until its end is recorded, the ledger may have more than Postgres; after it, no more."""
    shop, box = await open_infinite(postgres, redis)
    await shop.buy(box, 1, 3)
    box.config.status = pool_pb2.POOL_STATUS_ENDED
    await shop.publish(box)
    await postgres.execute("UPDATE boxes SET is_ended = true")
    drawn = [item.id for item in reversed(shop.items)]
    async with history_of(postgres_dsn, redis_url) as history:
        assert drawn == ids_of(await Reader(history, shop).page())
    await shop.record(box)
    async with history_of(postgres_dsn, "redis://127.0.0.1:1/0") as history:
        assert drawn == ids_of(await Reader(history, shop).page())


async def test_many_callers_cost_few_reads_and_see_what_was_answered_before(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those who ask while a read is under way share the next one, which begins after they asked."""
    shop, box = await open_infinite(postgres, redis)
    reads, read = 0, records.RecordReader.page

    async def counted(reader: records.RecordReader, query: records.RecordsQuery) -> Any:
        nonlocal reads
        reads += 1
        return await read(reader, query)

    monkeypatch.setattr(records.RecordReader, "page", counted)
    async with history_of(postgres_dsn, redis_url) as history:
        reader = Reader(history, shop)
        early = [asyncio.create_task(reader.page()) for _ in range(200)]
        await asyncio.sleep(0)
        (item,) = (await shop.buy(box, 1)).items
        late = await asyncio.gather(*(reader.page() for _ in range(200)))
        await asyncio.gather(*early)
    assert [[item.id]] * 200 == [ids_of(page) for page in late]
    assert reads <= 4


@pytest.mark.parametrize(
    ("query", "names", "index"),
    [
        (records._queries.recorded_page, ("goods_id", "newest_no", "size"), "goods_id_goods_no"),
        (
            records._queries.recorded_level_page,
            ("goods_id", "shang_id", "newest_no", "size"),
            "goods_id_shang_id_shang_no",
        ),
    ],
    ids=["all", "level"],
)
async def test_any_page_reads_one_range_of_an_index(
    postgres: asyncpg.Pool, redis: Redis, query: Any, names: tuple[str, ...], index: str
) -> None:
    """A deep page touches its own rows and no others, whatever the statistics are."""
    shop, box = await open_infinite(postgres, redis)
    for _ in range(20):
        await shop.buy(box, 1, 100)
    await shop.record(box)
    await postgres.execute("ANALYZE")
    goods_id, shang_id = shop.shelf.goods_id, shop.shelf.shang_ids[0]
    arguments = {"goods_id": goods_id, "shang_id": shang_id, "newest_no": 10, "size": 5}
    plan = await postgres.fetch(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + query.sql,
        *(arguments[name] for name in names),
    )
    scans = [row[0] for row in plan if index in row[0]]
    assert [True] == ["rows=5" in scan for scan in scans], plan
