"""A5: Postgres is put back to an older state while Redis is ahead: the ledger heals it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.pool.books.collector import Auditor
from tests.support.blindbox import Box, ItemSpec, insert_card
from tests.support.blindbox_draw import Mall, drew, open_mall, settled_books, told
from tests.support.history import eventually, recording

OWNER, OTHER = 7, 8
LAST = ItemSpec(stock=1, is_last_prize=True)


@dataclass
class Backup:
    """A copy of a database, and the way to put it back under everybody's feet."""

    server: str
    name: str

    async def take(self) -> None:
        """Copy the database as it is."""
        await self._run(*self._closing(), f"CREATE DATABASE {self.name}_older TEMPLATE {self.name}")
        await self._run(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

    async def put_back(self) -> None:
        """Put the copy in the place of the database."""
        await self._run(
            *self._closing(),
            f"DROP DATABASE {self.name}",
            f"ALTER DATABASE {self.name}_older RENAME TO {self.name}",
        )

    def _closing(self) -> tuple[str, str]:
        return (
            f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false",
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            f" WHERE datname = '{self.name}'",
        )

    async def _run(self, *statements: str) -> None:
        connection = await asyncpg.connect(f"{self.server}/postgres")
        for statement in statements:
            await connection.execute(statement)
        await connection.close()


@pytest.fixture
def backup(postgres_server: str, postgres_dsn: str) -> Backup:
    """Of this test's database."""
    return Backup(postgres_server, postgres_dsn.rpartition("/")[2])


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """A draw service that goes on while Postgres is put back; nothing is swept."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url) as mall:
        yield mall


async def until_recorded(mall: Mall, *boxes: Box) -> None:
    """Wait until all that was drawn from *boxes* is in Postgres."""
    for box in boxes:
        newest = len(await mall.ledger(box))

        async def is_recorded(box: Box = box, newest: int = newest) -> bool:
            row = await mall.postgres.fetchrow(
                "SELECT recorded_seq, halted_reason FROM pools WHERE id = $1", box.pool_id
            )
            assert row is not None
            assert "" == row["halted_reason"]
            return bool(newest == row["recorded_seq"])

        await eventually(is_recorded)


async def assert_books_balance(mall: Mall, *boxes: Box) -> None:
    """Orders, items, records and Redis agree."""
    for box in boxes:
        assert [] == await Auditor(mall.postgres, mall.redis).audit_pool(box.pool_id)


async def ordered(mall: Mall, order_num: str) -> dict[str, Any]:
    """An order's row."""
    row = await mall.postgres.fetchrow(
        "SELECT id, order_num, user_id, order_type, num, item_card_id, request_id, attempt,"
        " status, places FROM orders WHERE order_num = $1",
        order_num,
    )
    assert row is not None, order_num
    return dict(row)


async def test_orders_and_cards_of_the_lost_seconds_are_written_from_the_ledger(
    mall: Mall, backup: Backup, postgres_dsn: str, redis_url: str
) -> None:
    """Each order is there as it was, repeats answer the same draws, the books balance."""
    box = await mall.box(ItemSpec(stock=20), LAST)
    infinite = await mall.box(ItemSpec(stock=90), kind="infinite")
    orders: dict[str, dict[str, Any]] = {
        "again": {"box": box, "count": 2},
        "the@rest:of it": {"box": box, "count": 15},
        "infinite": {"box": infinite, "count": 40, "user_id": OTHER},
    }
    shop, owner, postgres = mall.shop(), mall.user(OWNER), mall.postgres
    cards = {"mine": await insert_card(postgres, OWNER)}
    async with recording(postgres_dsn, redis_url):
        await shop.order(box, "before")
        await mall.publish(box, status=pool_pb2.POOL_STATUS_PAUSED)
        assert "GOODS_OFF_SHELF" == await told(shop.order(order_num="again", **orders["again"]))
        await mall.publish(box, status=pool_pb2.POOL_STATUS_OPEN)
        await until_recorded(mall, box)
        await backup.take()

        cards["mine too"] = await insert_card(postgres, OWNER, box.goods_id)
        placed = {num: await shop.order(order_num=num, **order) for num, order in orders.items()}
        used = {
            name: await owner.use_card(box.goods_id, card, name) for name, card in cards.items()
        }
        await until_recorded(mall, box, infinite)
        names = [*orders, *(f"card:{card}" for card in cards.values())]
        before = [await ordered(mall, name) for name in names]
        await backup.put_back()
        await until_recorded(mall, box, infinite)
    assert before == [await ordered(mall, name) for name in names]
    assert placed == {
        num: await shop.order(order_num=num, **order) for num, order in orders.items()
    }
    assert used == {
        name: await owner.use_card(box.goods_id, card, name) for name, card in cards.items()
    }
    await settled_books(mall, box)
    await assert_books_balance(mall, box, infinite)
    assert max(row["id"] for row in before) < (await shop.order(infinite, "fresh")).order_id
    assert max(cards.values()) < await insert_card(postgres, OWNER)


async def test_what_is_asked_before_the_ledger_is_read_again_takes_nothing_away(
    mall: Mall, backup: Backup, postgres_dsn: str, redis_url: str
) -> None:
    """Ids, numbers and cards may be given once more meanwhile: all that was drawn is kept."""
    first, second = await mall.box(ItemSpec(stock=20)), await mall.box(ItemSpec(stock=20))
    shop, owner = mall.shop(), mall.user(OWNER)
    card = await insert_card(mall.postgres, OWNER)
    await backup.take()
    lost = [await shop.order(first, name, count=2) for name in ("lost", "repeated", "reused")]
    used = await owner.use_card(first.goods_id, card, "mine")
    await backup.put_back()

    taken = await shop.order(first, "other", OTHER)
    assert lost[0].order_id == taken.order_id
    assert drew(lost[1]) == drew(await shop.order(first, "repeated", count=2))
    reused = await shop.order(first, "reused", OTHER)
    again = await owner.use_card(second.goods_id, card, "again")
    async with recording(postgres_dsn, redis_url):
        await until_recorded(mall, first, second)
    await assert_books_balance(mall, first, second)
    assert drew(lost[0]) == drew(await shop.order(first, "lost", count=2))
    assert drew(reused) == drew(await shop.order(first, "reused", OTHER))
    assert again == await owner.use_card(second.goods_id, card, "again")
    kept = await mall.postgres.fetch(
        "SELECT user_id, order_type, first_seq FROM orders WHERE order_num LIKE 'lost:%'"
        " ORDER BY first_seq"
    )
    seqs = [int(draw_id.rpartition("-")[2]) for draw_id in (drew(lost[2])[0], used.proof.draw_id)]
    assert [(OWNER, 1, seq) for seq in seqs] == [tuple(row) for row in kept]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": pool_pb2.POOL_STATUS_PAUSED}, (2, False, False, 0)),
        ({"status": pool_pb2.POOL_STATUS_ENDED}, (2, True, True, 0)),
        ({"protection_ms": 9000}, (2, True, False, 9)),
        ({"goods_revision": 0, "protection_ms": 9000}, (1, True, False, 0)),
    ],
    ids=["off the shelf", "ended", "protected", "published before the goods were changed"],
)
async def test_goods_changed_in_the_lost_seconds_are_brought_up_to_their_boxes(
    mall: Mall,
    backup: Backup,
    postgres_dsn: str,
    redis_url: str,
    change: dict[str, Any],
    expected: tuple[int, bool, bool, int],
) -> None:
    """What concerns draws is in the ledger, with the revision that tells which is newer."""
    box = await mall.box(ItemSpec(stock=20), goods_revision=1)
    async with recording(postgres_dsn, redis_url):
        await until_recorded(mall, box)
        await backup.take()
        await mall.publish(box, **{"goods_revision": 2, **change})
        await backup.put_back()

        async def is_recorded() -> bool:
            versions = "SELECT recorded_version FROM pools WHERE id = $1"
            return bool(box.version == await mall.postgres.fetchval(versions, box.pool_id))

        await eventually(is_recorded)
    goods = await mall.postgres.fetchrow(
        "SELECT revision, on_shelf, is_ended, protection_seconds FROM goods"
    )
    assert expected == tuple(goods)
    assert box.version < await mall.postgres.fetchval("SELECT nextval('pool_versions_seq')")
