"""Collects an audit's facts while draws run, so that they fit together to the unit."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, cast

import asyncpg
from redis.asyncio import Redis

from services.common.postgres import Connection, load_queries
from services.pool.books.audit import audit_pool, audit_winner_list
from services.pool.books.boxes import (
    BoxFacts,
    ItemMismatch,
    Numbering,
    OrderMismatch,
    StuckOrder,
)
from services.pool.books.facts import (
    Flight,
    HeldUnits,
    PoolFacts,
    PoolRow,
    PrizeRow,
    PrizeStock,
    SeqSpan,
    Tally,
    WinnerListFacts,
    WinnerMismatch,
)
from services.pool.books.findings import Finding, Kind
from services.pool.ledger.entries import MalformedEntryError, decode_entry
from services.pool.rule.terms import UNLIMITED, LiveState
from services.pool.store.keys import ledger_key
from services.pool.store.redis_store import RedisStore

_queries = load_queries(__file__)
_PAGE_ENTRIES = 500
_SHOWN = 100
_ATTEMPTS = 3
_FIRST_BOX = 1
RawEntry = tuple[bytes, dict[bytes, bytes]]


class Progress(NamedTuple):
    """How far a pool is, as Postgres has it; another one: something happened in it."""

    recorded_seq: int
    version: int
    halted_reason: str


class StockAudit(NamedTuple):
    """
    What became of an audit of the stock.

    Args:
        stocks: Of a lottery, its prizes; those without a bound and those deleted are left out.
    """

    findings: list[Finding]
    stocks: Sequence[PrizeStock] = ()


class Auditor:
    """
    Reads the books and audits them; changes nothing.

    Args:
        postgres: Its statement timeout bounds the scan of one pool's records.
        redis: A client that does not decode responses.
    """

    def __init__(self, postgres: asyncpg.Pool, redis: Redis) -> None:
        self._postgres = postgres
        self._redis = redis
        self._store = RedisStore(redis, max_backlog=0)

    async def pool_ids(self) -> list[int]:
        """Every pool."""
        return [row["id"] async for row in _queries.list_pools(self._postgres)]

    async def audit_pool(self, pool_id: int) -> list[Finding] | None:
        """What does not add up in a pool, draws in flight included; None: no such pool."""
        for attempt in range(1, _ATTEMPTS + 1):
            facts = await self.facts(pool_id)
            if facts is None:
                return None
            findings = audit_pool(facts)
            # The recorder may have recorded and trimmed between our two readings.
            if attempt == _ATTEMPTS or all(f.kind is not Kind.LEDGER_GAP for f in findings):
                break
        return findings

    async def live_pools(self) -> dict[int, Progress]:
        """Every pool that may still draw, and how far it is."""
        rows = _queries.list_live_pools(self._postgres)
        return {pool_id: Progress(*progress) async for pool_id, *progress in rows}

    async def audit_stock(self, pool_id: int) -> StockAudit:
        """
        What does not add up between stock, counters and draws in flight.

        Unlike audit_pool it trusts Postgres's counters, and so costs the same however long the
        ledger is.
        """
        async with self._snapshot() as connection:
            row = PoolRow(*await _queries.get_pool(connection, pool_id=pool_id))
            live = await self._store.inspect(pool_id)
            flight = await self._flight(connection, row, live)
            prizes = _queries.list_noted_prizes(connection, pool_id=pool_id)
            noted = [PrizeRow(*prize) async for prize in prizes]
            box = BoxFacts(stuck=await _stuck(connection, row)) if row.num else None
        tally = Tally(row.draws, row.wins, row.unique_users, 0, row.wins, row.wins)
        findings = audit_pool(PoolFacts(row, noted, tally, (), (), live, flight, box))
        return StockAudit(findings, () if row.num else _stocks(noted, live))

    async def held(self, pool_id: int = 0) -> list[HeldUnits]:
        """What is held back, in one pool or (0) in all: units = left + won + in flight + held."""
        rows = _queries.list_held(self._postgres, pool_id=pool_id)
        return [HeldUnits(*row) async for row in rows]

    async def held_units(self) -> int:
        """Units of all prizes that are held back."""
        units: int = await _queries.count_held(self._postgres)
        return units

    async def audit_winner_list(self) -> list[Finding]:
        """What does not add up in the global winner list."""
        row = await _queries.winner_list(self._postgres)
        return audit_winner_list(WinnerListFacts(row["counter"], row["rows"], row["last_win_no"]))

    async def facts(self, pool_id: int) -> PoolFacts | None:
        """
        One pool as of one instant of Postgres and a later one of Redis; None: no such pool.

        The ledger only grows. So the entries between the two instants may be read afterwards,
        page by page, and still account for every unit.
        """
        async with self._snapshot() as connection:
            record = await _queries.get_pool(connection, pool_id=pool_id)
            if record is None:
                return None
            row = PoolRow(*record)
            live = await self._store.inspect(pool_id)
            flight = await self._flight(connection, row, live)
            return await _facts(connection, row, live, flight)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        async with (
            self._postgres.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def _flight(self, connection: Connection, row: PoolRow, live: LiveState | None) -> Flight:
        gaps = _queries.known_gaps(connection, pool_id=row.pool_id)
        flight = Flight(row.recorded_seq, {gap["first_seq"]: gap["last_seq"] async for gap in gaps})
        if live is None:
            return flight
        async for entry_id, fields in self._entries(row, live):
            try:
                flight.follow(decode_entry(entry_id, fields))
            except MalformedEntryError:
                flight.unreadable.append(entry_id.decode())
        flight.arrive_at(live.seq + 1)
        return flight

    async def _entries(self, row: PoolRow, live: LiveState) -> AsyncIterator[RawEntry]:
        after = f"{row.recorded_seq}-{row.recorded_version}"
        to = f"{live.seq}-{live.version}"
        while page := await self._page(row.pool_id, after, to):
            for entry in page:
                yield entry
            after = page[-1][0].decode()

    async def _page(self, pool_id: int, after: str, to: str) -> list[RawEntry]:
        key = ledger_key(pool_id)
        page = await self._redis.xrange(key, f"({after}", to, count=_PAGE_ENTRIES)
        return cast(list[RawEntry], page)


def _stocks(noted: Sequence[PrizeRow], live: LiveState | None) -> list[PrizeStock]:
    left = {stock.prize_id: stock.left for stock in live.stocks} if live else {}
    return [
        PrizeStock(prize.prize_id, prize.name, prize.units, left[prize.prize_id])
        for prize in noted
        if prize.prize_id in left and prize.units != UNLIMITED and not prize.is_deleted
    ]


async def _facts(
    connection: Connection, row: PoolRow, live: LiveState | None, flight: Flight
) -> PoolFacts:
    pool = {"pool_id": row.pool_id}
    missing = _queries.missing_records(
        connection, **pool, recorded_seq=row.recorded_seq, at_most=_SHOWN
    )
    mismatches = _queries.winner_mismatches(connection, **pool, at_most=_SHOWN)
    return PoolFacts(
        row=row,
        prizes=[PrizeRow(*prize) async for prize in _queries.list_prizes(connection, **pool)],
        tally=Tally(*await _queries.tally(connection, **pool, recorded_seq=row.recorded_seq)),
        missing=[SeqSpan(*span) async for span in missing],
        mismatches=[WinnerMismatch(*mismatch) async for mismatch in mismatches],
        live=live,
        flight=flight,
        box=await _box_facts(connection, row) if row.num else None,
    )


async def _box_facts(connection: Connection, row: PoolRow) -> BoxFacts:
    pool = {"pool_id": row.pool_id, "at_most": _SHOWN}
    items = _queries.item_mismatches(connection, **pool)
    orders = _queries.order_mismatches(connection, **pool, recorded_seq=row.recorded_seq)
    return BoxFacts(
        items=[ItemMismatch(*item) async for item in items],
        orders=[OrderMismatch(*order) async for order in orders],
        numberings=await _numberings(connection, row) if row.num == _FIRST_BOX else (),
        stuck=await _stuck(connection, row),
    )


async def _numberings(connection: Connection, row: PoolRow) -> list[Numbering]:
    rows = _queries.numberings(connection, goods_id=row.goods_id, at_most=_SHOWN)
    return [Numbering(*numbering) async for numbering in rows]


async def _stuck(connection: Connection, row: PoolRow) -> list[StuckOrder]:
    rows = _queries.stuck_orders(connection, pool_id=row.pool_id, at_most=_SHOWN)
    return [StuckOrder(*order) async for order in rows]
