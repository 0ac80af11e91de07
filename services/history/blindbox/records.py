"""Winning records of goods, as pages and by the day: all that was drawn, recorded or not yet."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

import asyncpg

from services.common.errors import GoodsNotFoundError
from services.common.masking import mask
from services.common.orders import order_item_id
from services.common.paging import Page
from services.common.postgres import load_queries
from services.common.timestamps import ms_of
from services.history.blindbox.tail import LedgerTails, TailDraw

_queries = load_queries(__file__)
_ALL_LEVELS = 0
_INFINITE = "infinite"
_newest_first = attrgetter("drawn_ms", "pool_id", "seq")


class WinningRecord(NamedTuple):
    """
    Somebody's win.

    Args:
        id: Of the order item, also before there is one.
        nickname: Masked.
        drawn_ms: Unix milliseconds.
        num: Of the box.
    """

    id: int
    nickname: str
    shang_id: int
    shang_title: str
    shang_color: str
    title: str
    image_url: str
    luck_no: int
    drawn_ms: int
    num: int
    pool_id: int
    seq: int


class RecordPage(NamedTuple):
    """A page of records, newest first, and the number of the last page that has any; at least 1."""

    rows: list[WinningRecord]
    last_page: int


class RecordsQuery(NamedTuple):
    """Which page of an infinite goods' records; shang_id 0: of all levels."""

    goods_id: int
    shang_id: int
    page: Page


@dataclass(frozen=True, slots=True)
class _RecordedGoods:
    """
    How far goods are recorded.

    Args:
        items: Newest number of the level asked for.
        recorded_seqs: See HasPositions.
    """

    items: int
    recorded_seqs: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class GoodsDraws:
    """All that goods gave up to a moment: what is recorded of it, and the draws that are not."""

    recorded: _RecordedGoods
    tail: Sequence[TailDraw]

    @property
    def version(self) -> Hashable:
        """Equal while nothing more is drawn or recorded."""
        newest = {one.pool_id: one.seq for one in self.tail}
        recorded_seqs = frozenset(self.recorded.recorded_seqs.items())
        return self.recorded.items, recorded_seqs, frozenset(newest.items())


class RecordReader:
    """Reads records of goods, whether they are on the shelf or not."""

    def __init__(self, postgres: asyncpg.Pool, tails: LedgerTails) -> None:
        self._postgres = postgres
        self._tails = tails

    async def page(self, query: RecordsQuery) -> RecordPage:
        """
        A page of the records of infinite goods; one beyond the last is empty.

        Raises:
            GoodsNotFoundError: There are no such infinite goods.
        """

        async def look() -> _RecordedGoods:
            return await self._look(query.goods_id, query.shang_id, _INFINITE)

        recorded, tail = await self._tails.settle(look)
        fresh = (await self._of_level(tail, query.shang_id))[::-1]
        skip, size = query.page.offset, query.page.size
        shown = fresh[skip : skip + size]
        # Numbers up to what the first look found: what is recorded meanwhile has higher ones.
        newest_no = recorded.items - max(0, skip - len(fresh))
        rows = await self._describe(shown)
        rows += await self._numbered(query, newest_no, size - len(shown))
        last_page = -(-(recorded.items + len(fresh)) // size)
        return RecordPage(rows, max(1, last_page))

    async def drawn(self, goods_id: int) -> GoodsDraws:
        """
        What goods have given.

        Raises:
            GoodsNotFoundError: There are no such goods.
        """

        async def look() -> _RecordedGoods:
            return await self._look(goods_id, _ALL_LEVELS)

        return GoodsDraws(*await self._tails.settle(look))

    async def since(
        self, goods_id: int, drawn: GoodsDraws, since: datetime, size: int
    ) -> list[WinningRecord]:
        """Of what goods had given, the records from a moment on, newest first, at most *size*."""
        since_ms = ms_of(since)
        fresh = [one for one in drawn.tail if one.drawn_ms >= since_ms]
        fresh.sort(key=_newest_first, reverse=True)
        rows = await self._describe(fresh[:size])
        found = _queries.recorded_since(
            self._postgres,
            goods_id=goods_id,
            since=since,
            newest_no=drawn.recorded.items,
            size=size,
        )
        rows += [_record(row) async for row in found]
        rows.sort(key=_newest_first, reverse=True)
        return rows[:size]

    async def _look(self, goods_id: int, shang_id: int, goods_type: str = "") -> _RecordedGoods:
        found = _queries.recorded_so_far(self._postgres, goods_id=goods_id, shang_id=shang_id)
        rows = [row async for row in found]
        if not rows or goods_type not in ("", rows[0]["type"]):
            raise GoodsNotFoundError
        seqs = {row["pool_id"]: row["recorded_seq"] for row in rows if row["pool_id"] is not None}
        return _RecordedGoods(rows[0]["items"], seqs)

    async def _of_level(self, tail: list[TailDraw], shang_id: int) -> list[TailDraw]:
        if shang_id == _ALL_LEVELS or not tail:
            return tail
        pool_ids = list({one.pool_id for one in tail})
        found = _queries.prizes_of_level(self._postgres, pool_ids=pool_ids, shang_id=shang_id)
        prize_ids = {row["id"] async for row in found}
        return [one for one in tail if one.draw.prize_id in prize_ids]

    async def _describe(self, draws: Sequence[TailDraw]) -> list[WinningRecord]:
        if not draws:
            return []
        found = _queries.describe_draws(
            self._postgres,
            user_ids=[one.draw.user_id for one in draws],
            request_ids=[one.draw.request_id.decode() for one in draws],
            prize_ids=[one.draw.prize_id for one in draws],
        )
        return [_fresh_record(draws[row["place"] - 1], row) async for row in found]

    async def _numbered(
        self, query: RecordsQuery, newest_no: int, size: int
    ) -> list[WinningRecord]:
        if newest_no < 1 or size < 1:
            return []
        if query.shang_id == _ALL_LEVELS:
            found = _queries.recorded_page(
                self._postgres, goods_id=query.goods_id, newest_no=newest_no, size=size
            )
        else:
            found = _queries.recorded_level_page(
                self._postgres,
                goods_id=query.goods_id,
                shang_id=query.shang_id,
                newest_no=newest_no,
                size=size,
            )
        return [_record(row) async for row in found]


def _record(row: asyncpg.Record) -> WinningRecord:
    return WinningRecord(
        row["id"],
        mask(row["username"] or ""),
        row["shang_id"],
        row["shang_title"],
        row["color"],
        row["title"],
        row["img_url"],
        row["luck_no"],
        ms_of(row["created_at"]),
        row["num"],
        row["pool_id"],
        row["seq"],
    )


def _fresh_record(drawn: TailDraw, row: asyncpg.Record) -> WinningRecord:
    return WinningRecord(
        order_item_id(row["order_id"], drawn.draw.draw_index),
        mask(row["username"] or ""),
        row["shang_id"],
        row["shang_title"],
        row["color"],
        row["title"],
        row["img_url"],
        drawn.luck_no,
        drawn.drawn_ms,
        row["num"],
        drawn.pool_id,
        drawn.seq,
    )
