"""The public lists of blind boxes, ready as messages and shared by those who ask together."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from kuji.blindbox.v1 import records_pb2 as pb

from services.history.blindbox.goods import ListedGoodsStore
from services.history.blindbox.messages import (
    daily_records_message,
    goods_message,
    records_page_message,
)
from services.history.blindbox.records import GoodsDraws, RecordReader, RecordsQuery
from services.history.fresh_cache import FreshCache
from services.history.settings import HistorySettings

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_KINDS = 3
_DAYS = 16  # each of up to a megabyte


def start_of_day(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the day began in which *moment* falls in *zone*, in UTC."""
    day = moment.astimezone(zone).date()
    return datetime.combine(day, time.min, zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _Day:
    """The records of goods since a moment, up to *drawn*."""

    goods_id: int
    since: datetime
    version: Hashable
    drawn: GoodsDraws = field(compare=False)


class SharedReads(Generic[K, V]):
    """Reads that begin after they are asked for; those who ask while one is under way share one."""

    def __init__(self, name: str, load: Callable[[K], Awaitable[V]]) -> None:
        self._cache = FreshCache(name, load, max_age_s=0.0, max_entries=1)

    async def get(self, key: K) -> V:
        """What *key* is now; what the load raises."""
        self._cache.invalidate()
        return await self._cache.get(key)

    async def aclose(self) -> None:
        """Stop what is being read."""
        await self._cache.aclose()


class PublicRecords:
    """
    Goods at most settings.page_age_s old, and records as they are at this moment.

    The messages are shared: nobody may change them.
    """

    def __init__(
        self,
        goods: ListedGoodsStore,
        records: RecordReader,
        settings: HistorySettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._goods_store = goods
        self._reader = records
        self._zone = ZoneInfo(settings.time_zone)
        self._daily_size = settings.daily_records
        self._now = now
        self._goods = FreshCache("goods", self._load_goods, settings.page_age_s, _KINDS)
        self._pages = SharedReads("infinite_records", self._load_page)
        self._days = SharedReads("daily_records", self._load_day)
        # Thousands of rows: made anew where there are more of them, and each second.
        self._listed_days = FreshCache("daily_lists", self._list_day, settings.page_age_s, _DAYS)

    async def goods(self, kind: str) -> pb.ListGoodsResponse:
        """The goods on the shelf, of type *kind*; "": of both."""
        return await self._goods.get(kind)

    async def page(self, query: RecordsQuery) -> pb.ListInfiniteRecordsResponse:
        """A page of the records of infinite goods; GoodsNotFoundError where there are none such."""
        return await self._pages.get(query)

    async def today(self, goods_id: int) -> pb.ListDailyRecordsResponse:
        """Today's records of goods; GoodsNotFoundError where there are none such."""
        return await self._days.get(goods_id)

    async def aclose(self) -> None:
        """Stop what is being read."""
        for reads in (self._goods, self._pages, self._days, self._listed_days):
            await reads.aclose()

    async def _load_goods(self, kind: str) -> pb.ListGoodsResponse:
        return goods_message(await self._goods_store.on_shelf(kind))

    async def _load_page(self, query: RecordsQuery) -> pb.ListInfiniteRecordsResponse:
        return records_page_message(await self._reader.page(query))

    async def _load_day(self, goods_id: int) -> pb.ListDailyRecordsResponse:
        drawn = await self._reader.drawn(goods_id)
        since = start_of_day(self._now(), self._zone)
        return await self._listed_days.get(_Day(goods_id, since, drawn.version, drawn))

    async def _list_day(self, day: _Day) -> pb.ListDailyRecordsResponse:
        size = self._daily_size
        rows = await self._reader.since(day.goods_id, day.drawn, day.since, size)
        return daily_records_message(rows)
