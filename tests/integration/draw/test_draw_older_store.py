"""An older copy of the store is never drawn from, whoever was running meanwhile."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from ops.rebuild.rebuilder import Outcome, Rebuilder
from services.pool.books.collector import Auditor
from services.pool.books.findings import Kind
from services.pool.marks import keeper, records
from services.pool.marks.records import ROOM
from services.pool.rule.selection import PPB
from tests.support.blindbox import Box, ItemSpec
from tests.support.blindbox_draw import Mall, drew, open_mall, told
from tests.support.draw_service import Activity, Valkey, own_valkey
from tests.support.history import eventually, recording
from tests.support.proxy import Proxy, proxying

REFUSED = "POOL_NOT_LOADED"
_IS_MARKED = "SELECT seq = $2 FROM pool_marks WHERE pool_id = $1"
_IS_RECORDED = "SELECT recorded_seq = $2 FROM pools WHERE id = $1"
Told = dict[tuple[int, str], str]  # user, request id → draw id


@dataclass
class House:
    """
    A store that a test may set back, and who draws from it.

    Args:
        marks: The folder of marks; None: there is none.
        wire: To Postgres.
    """

    folder: Path
    postgres: asyncpg.Pool
    dsn: str
    valkey: Valkey
    redis: Redis
    wire: Proxy
    marks: Path | None

    def open(self) -> AbstractAsyncContextManager[Mall]:
        """Two draw processes that start anew, to Postgres by way of the wire."""
        urls = [self.valkey.url] * 2
        dsn, marks = self.wire.instead_of(self.dsn), {"marks_folder": self.marks}
        return open_mall(self.redis, self.postgres, dsn, *urls, watch_every_s=0.1, **marks)

    def copy(self, name: str) -> None:
        """Keep the store's data as it is at this moment."""
        shutil.copytree(self.folder / "data", self.folder / name)

    async def put_back(self, name: str = "") -> None:
        """Kill the store, and start it on a copy, if one is named."""
        self.valkey.kill()
        await self.redis.connection_pool.disconnect()
        if name:
            shutil.rmtree(self.folder / "data")
            shutil.copytree(self.folder / name, self.folder / "data")
        await self.valkey.start_again()

    async def kinds(self, pool_id: int) -> set[Kind]:
        """What the books find in a pool."""
        found = await Auditor(self.postgres, self.redis).audit_pool(pool_id)
        return {finding.kind for finding in found or []}

    async def rebuild(self, pool_id: int) -> tuple[Outcome, int]:
        """Bring a pool back; what became of it, and how many answered draws are lost."""
        rebuilder = Rebuilder(self.postgres, self.redis)
        outcome = await rebuilder.rebuild(pool_id, lambda _: None)
        return outcome, rebuilder.lost.get(pool_id, 0)

    async def until(self, query: str, *arguments: Any) -> None:
        """Wait until *query* finds something that is true."""

        async def holds() -> bool:
            return bool(await self.postgres.fetchval(query, *arguments))

        await eventually(holds)


@asynccontextmanager
async def _house(
    tmp_path: Path, postgres: asyncpg.Pool, dsn: str, has_marks: bool = True
) -> AsyncIterator[House]:
    at = urlsplit(dsn)
    assert at.hostname
    assert at.port
    marks = tmp_path / "marks" if has_marks else None
    async with (
        own_valkey(tmp_path) as valkey,
        proxying(at.hostname, at.port) as wire,
        Redis.from_url(valkey.url) as redis,
    ):
        yield House(tmp_path, postgres, dsn, valkey, redis, wire, marks)


async def _draw(
    mall: Mall, activity: Activity, request_id: str, users: Sequence[int], replicas: int = 2
) -> Told:
    """One draw of each of *users*, by both processes in turn."""
    return {
        (user, request_id): (
            await mall.user(user, user % replicas).draw(activity.activity_id, request_id)
        ).draw_id
        for user in users
    }


async def _replay(mall: Mall, activity: Activity, told: Told) -> Told:
    return {
        (user, request_id): (await mall.user(user).draw(activity.activity_id, request_id)).draw_id
        for user, request_id in told
    }


async def _refusals(mall: Mall, activity: Activity, box: Box) -> set[str]:
    """What a draw in each process, an order, a change and a block are told."""
    block = pool_pb2.SetUserBlockRequest(user_id=9, blocked=True)
    return {
        await told(mall.user(77, 0).draw(activity.activity_id, "late")),
        await told(mall.user(78, 1).draw(activity.activity_id, "late")),
        await told(mall.shop().order(box, "late")),
        await told(mall.world.publish(activity)),
        await told(mall.shop()(block)),
        await told(mall.shop(1)(block)),
    }


def _seqs(told: Told) -> set[int]:
    return {int(draw_id.partition("-")[2]) for draw_id in told.values()}


@pytest.mark.parametrize("cure", ["the right copy", "a rebuild"])
async def test_older_copy_is_refused_though_everybody_starts_anew(
    tmp_path: Path, postgres: asyncpg.Pool, postgres_dsn: str, cure: str
) -> None:
    """
    Nobody recorded meanwhile, and with the right copy Postgres was away too: still no draw, order,
    change or block succeeds. What cures it gives no draw id twice.
    """
    is_away = cure == "the right copy"
    async with _house(tmp_path, postgres, postgres_dsn) as house:
        async with house.open() as mall:
            activity = await mall.world.activity((50, PPB // 2))
            box = await mall.box(ItemSpec(9))
            before = await _draw(mall, activity, "a", range(1, 7))
            placed = drew(await mall.shop().order(box, "o-1", count=2))
            if is_away:
                await house.wire.refuse()
            house.copy("older")
            after = await _draw(mall, activity, "b", range(1, 7))
            if not is_away:
                placed += drew(await mall.shop().order(box, "o-2", count=2))
        house.copy("newest")
        await house.put_back("older")
        house.wire.resume()
        async with house.open() as mall, recording(postgres_dsn, house.valkey.url):
            if is_away:  # the box is as new as it was
                await _draw_nothing(house, mall, activity)
            else:
                assert {REFUSED} == await _refusals(mall, activity, box)
            await house.until(
                "SELECT seq = 12 FROM pool_marks WHERE pool_id = $1", activity.pool_id
            )
            assert {Kind.REDIS_BEHIND} <= await house.kinds(activity.pool_id)
            if is_away:
                await house.put_back("newest")
                assert before | after == await _replay(mall, activity, before | after)
            else:
                await house.until(_IS_RECORDED, activity.pool_id, 6)
                await house.until(_IS_RECORDED, box.pool_id, 2)
                assert (Outcome.REBUILT, 6) == await house.rebuild(activity.pool_id)
                assert (Outcome.REBUILT, 2) == await house.rebuild(box.pool_id)
                assert before == await _replay(mall, activity, before)
            fresh = await _draw(mall, activity, "c", range(1, 7))
            assert set() == _seqs(fresh) & _seqs(before | after)
            placed += drew(await mall.shop().order(box, "o-3"))
            assert len(set(placed)) == len(placed)
            await house.until(_IS_RECORDED, activity.pool_id, max(_seqs(fresh)))
            assert set() == await house.kinds(activity.pool_id)


async def _draw_nothing(house: House, mall: Mall, activity: Activity) -> None:
    for replica in range(2):
        assert REFUSED == await told(mall.user(77, replica).draw(activity.activity_id, "late"))
        block = pool_pb2.SetUserBlockRequest(user_id=9, blocked=True)
        assert REFUSED == await told(mall.shop(replica)(block))
    assert REFUSED == await told(mall.world.publish(activity))
    assert not await house.redis.hexists("kuji:blocks", "9")


async def test_older_copy_is_refused_under_processes_that_go_on(
    tmp_path: Path, postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """Also by one that did not make the newer draws; who was blocked meanwhile stays blocked."""
    async with _house(tmp_path, postgres, postgres_dsn) as house, house.open() as mall:
        activity = await mall.world.activity((50, PPB // 2))
        box = await mall.box(ItemSpec(9))
        made = await _draw(mall, activity, "a", range(2, 6))
        await mall.shop().order(box, "o-1")
        house.copy("older")
        made |= await _draw(mall, activity, "b", range(2, 6), replicas=1)
        await mall.shop().order(box, "o-2")
        await postgres.execute("INSERT INTO blocks (user_id, reason, created_by) VALUES (5, '', 1)")
        await mall.shop()(pool_pb2.SetUserBlockRequest(user_id=5, blocked=True))
        house.copy("newest")
        await house.put_back("older")
        assert {REFUSED} == await _refusals(mall, activity, box)
        await house.put_back("newest")
        assert "USER_BLOCKED" == await told(mall.user(5, 1).draw(activity.activity_id, "c"))
        fresh = await _draw(mall, activity, "c", range(2, 5))
        assert {9, 10, 11} == _seqs(fresh)
        assert "" == await told(mall.shop()(pool_pb2.SetUserBlockRequest(user_id=9, blocked=True)))


async def test_without_a_folder_postgres_says_what_is_older_and_no_id_is_given_twice(
    tmp_path: Path, postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """As on several machines: ids of a new run come after all that another may have given."""
    async with _house(tmp_path, postgres, postgres_dsn, has_marks=False) as house:
        async with house.open() as mall:
            activity = await mall.world.activity((50, PPB // 2))
            box = await mall.box(ItemSpec(9))
            made = await _draw(mall, activity, "a", range(1, 7))
            await mall.shop().order(box, "o-1")
            house.copy("older")
            made |= await _draw(mall, activity, "b", range(1, 7))
            await mall.shop().order(box, "o-2")
            await house.until(_IS_MARKED, activity.pool_id, 12)
            await house.until(_IS_MARKED, box.pool_id, 2)
            house.copy("newest")
            made |= await _draw(mall, activity, "c", [1])
        await house.put_back("older")
        async with house.open() as mall:
            assert {REFUSED} == await _refusals(mall, activity, box)
        # As if the last draw had not been told any more.
        await postgres.execute(
            "UPDATE pool_marks SET seq = 12, clock_us = 0 WHERE pool_id = $1", activity.pool_id
        )
        for copy in ("newest", ""):  # runs of the store in which nothing is drawn
            await house.put_back(copy)
            async with house.open() as mall:
                await mall.world.publish(activity)
        async with house.open() as mall, recording(postgres_dsn, house.valkey.url):
            fresh = await _draw(mall, activity, "d", range(1, 7))
            assert min(_seqs(fresh)) > ROOM > max(_seqs(made))
            await house.until(_IS_RECORDED, activity.pool_id, max(_seqs(fresh)))
            assert set() == await house.kinds(activity.pool_id)


async def test_installation_from_before_there_were_marks_draws_on(
    tmp_path: Path, postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """Its ids go on where they were, and are marked from then on."""
    async with _house(tmp_path, postgres, postgres_dsn) as house:
        async with house.open() as mall:
            activity = await mall.world.activity((50, PPB // 2))
            await _draw(mall, activity, "a", range(1, 7))
        await postgres.execute("TRUNCATE pool_marks")
        assert house.marks
        shutil.rmtree(house.marks)
        async with house.open() as mall:
            house.copy("older")
            assert {7, 8, 9} == _seqs(await _draw(mall, activity, "b", range(1, 4)))
        await house.put_back("older")
        async with house.open() as mall:
            await _draw_nothing(house, mall, activity)


async def test_draws_go_on_without_postgres_as_far_as_ids_are_reserved(
    tmp_path: Path,
    postgres: asyncpg.Pool,
    postgres_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Past them nothing is drawn, by any process, until Postgres is back."""
    monkeypatch.setattr(records, "ROOM", 20)
    monkeypatch.setattr(keeper, "ROOM", 20)
    monkeypatch.setattr(records, "_ONE_CALL", 2)
    async with _house(tmp_path, postgres, postgres_dsn) as house, house.open() as mall:
        activity = await mall.world.activity((50, PPB // 2))
        made = await _draw(mall, activity, "a", range(1, 7))
        await house.wire.refuse()
        made |= await _draw(mall, activity, "b", range(1, 13))
        assert set(range(1, 19)) == _seqs(made)
        assert ["UNAVAILABLE"] * 2 == [
            await told(mall.user(user, user % 2).draw(activity.activity_id, "late"))
            for user in (2, 3)
        ]
        house.wire.resume()

        async def draws_on() -> bool:
            return not await told(mall.user(1).draw(activity.activity_id, "c"))

        await eventually(draws_on)
        assert {19} == _seqs(await _replay(mall, activity, {(1, "c"): ""}))
        assert set(range(20, 26)) == _seqs(await _draw(mall, activity, "d", range(1, 7)))
