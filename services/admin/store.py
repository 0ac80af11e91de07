"""Postgres as the administration sees it: typed rows over the named SQL of queries.sql."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from services.admin.audit import AuditRecord
from services.admin.models import (
    Activity,
    ActivityTerms,
    AuditEntry,
    AuditSpan,
    Block,
    ClaimCounts,
    ConfirmMode,
    ExportedDraw,
    Offset,
    Phase,
    PoolMode,
    Prize,
    PrizeTerms,
    RecordSpan,
    User,
    Wish,
)
from services.common.addresses import Network
from services.common.paging import Page
from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)
_LIKE_SPECIAL = re.compile(r"[\\%_]")


@dataclass(frozen=True, slots=True)
class RecordedPool:
    """An activity's pool as far as it is recorded."""

    activity_id: int
    pool_id: int
    name: str
    phase: Phase
    version: int
    recorded_seq: int
    draws: int
    wins: int
    unique_users: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over activities, as recorded."""

    draws: int
    wins: int
    unique_users: int


class Rows:
    """The statements of the administration on one connection, inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """For further statements in the same transaction."""
        return self._connection

    async def now(self) -> datetime:
        """This moment by Postgres's clock, whole milliseconds."""
        moment: datetime = await _queries.now(self._connection)
        return moment

    async def insert_pool(self, pool_id: int, mode: PoolMode, seed_commitment: str) -> None:
        """Store a pool whose commitment is 64 hexadecimal digits."""
        await _queries.insert_pool(
            self._connection, pool_id=pool_id, mode=mode, seed_commitment=seed_commitment
        )

    async def lock_pool(self, pool_id: int) -> int:
        """Wait for the pool's row, keep it until the end of the transaction; its version."""
        return int(await _queries.lock_pool(self._connection, pool_id=pool_id))

    async def next_version(self) -> int:
        """A version never used before."""
        return int(await _queries.next_version(self._connection))

    async def set_pool_version(self, pool_id: int, version: int) -> None:
        """Note that *version* is published."""
        await _queries.set_pool_version(self._connection, pool_id=pool_id, version=version)

    async def insert_activity(self, pool_id: int, terms: ActivityTerms) -> int:
        """Store a new activity; its id."""
        return int(await _queries.insert_activity(self._connection, pool_id=pool_id, terms=terms))

    async def update_activity(self, pool_id: int, terms: ActivityTerms) -> None:
        """Replace the terms of the pool's activity."""
        await _queries.update_activity(self._connection, pool_id=pool_id, terms=terms)

    async def activity_of_pool(self, pool_id: int) -> Activity:
        """The activity that draws from the pool."""
        return _activity(await _queries.activity_of_pool(self._connection, pool_id=pool_id))

    async def insert_prize(self, activity: Activity, terms: PrizeTerms) -> int:
        """Store a new prize of *activity*; its id."""
        prize_id = await _queries.insert_prize(
            self._connection,
            activity_id=activity.activity_id,
            pool_id=activity.pool_id,
            terms=terms,
        )
        return int(prize_id)

    async def update_prize(self, prize_id: int, terms: PrizeTerms) -> None:
        """Replace a prize's terms."""
        await _queries.update_prize(self._connection, prize_id=prize_id, terms=terms)

    async def delete_prize(self, prize_id: int) -> None:
        """Mark a prize as deleted and disabled."""
        await _queries.delete_prize(self._connection, prize_id=prize_id)

    async def set_units_of_deleted(self, units: dict[int, int]) -> None:
        """Give the deleted ones among the prizes (id → units) these units."""
        await _queries.set_units_of_deleted(
            self._connection, prize_ids=list(units), units=list(units.values())
        )

    async def prizes_of_pools(self, pool_ids: Sequence[int]) -> list[Prize]:
        """All prizes that the pools ever had, by id."""
        rows = _queries.prizes_of_pools(self._connection, pool_ids=pool_ids)
        return [_prize(row) async for row in rows]

    async def add_audit(self, record: AuditRecord) -> None:
        """Append to the audit log."""
        await _queries.insert_audit(
            self._connection,
            user_id=record.caller.user_id,
            username=record.caller.username,
            action=record.action,
            subject=record.subject,
            detail=record.detail_json,
        )

    async def lock_blocks(self) -> None:
        """Until the end of the transaction, no block is set or lifted, and no pool is created."""
        await _queries.lock_blocks(self._connection)

    async def find_user(self, user_id: int, username: str) -> int | None:
        """The user with this id, or (0) this name; None: there is none."""
        found: int | None = await _queries.find_user(
            self._connection, user_id=user_id, username=username
        )
        return found

    async def holding_block(self, user_id: int | None, network: Network | None) -> Block | None:
        """The block that holds of the user, or of exactly this range; None: there is none."""
        row = await _queries.holding_block(self._connection, user_id=user_id, network=network)
        return None if row is None else _block(row)

    async def put_block(
        self, user_id: int, reason: str, until: datetime | None, created_by: int
    ) -> int:
        """Store the user's one block, new or in the place of one that holds; its id."""
        await _queries.retire_block(self._connection, user_id=user_id, network=None)
        block_id = await _queries.put_block(
            self._connection, user_id=user_id, reason=reason, until=until, created_by=created_by
        )
        return int(block_id)

    async def put_network_block(
        self, network: Network, reason: str, until: datetime | None, created_by: int
    ) -> int:
        """Store the range's one block, new or in the place of one that holds; its id."""
        await _queries.retire_block(self._connection, user_id=None, network=network)
        block_id = await _queries.put_network_block(
            self._connection, network=network, reason=reason, until=until, created_by=created_by
        )
        return int(block_id)

    async def count_networks(self, network: Network) -> int:
        """How many ranges other than *network* are blocked."""
        return int(await _queries.count_networks(self._connection, network=network))

    async def lift_block(self, block_id: int) -> bool:
        """Lift a block; whether it was not lifted already."""
        return await _queries.lift_block(self._connection, block_id=block_id) is not None

    async def block(self, block_id: int) -> Block | None:
        """A block, lifted or not; None: no such block."""
        row = await _queries.block(self._connection, block_id=block_id)
        return None if row is None else _block(row)

    async def offsets(self, pool_id: int) -> list[Offset]:
        """
        The offsets of pools with a daily quota whose newest configuration is recorded.

        Args:
            pool_id: Of this one; 0: of all.
        """
        rows = _queries.offsets(self._connection, pool_id=pool_id)
        return [Offset(**row) async for row in rows]

    async def recorded_pools(self, activity_id: int, limit: int) -> list[RecordedPool]:
        """The newest *limit* activities' pools, or (activity_id not 0) that of one."""
        rows = _queries.books(self._connection, activity_id=activity_id, row_limit=limit)
        return [_recorded_pool(row) async for row in rows]

    async def claims(self, pool_ids: Sequence[int]) -> dict[int, ClaimCounts]:
        """What became of the pools' wins, by prize; prizes without any are left out."""
        rows = _queries.claims(self._connection, pool_ids=pool_ids)
        return {
            row["prize_id"]: ClaimCounts(row["redeemed"], row["disqualified"]) async for row in rows
        }

    async def totals(self, activity_id: int) -> Totals:
        """Sums over all activities, or over one."""
        return Totals(**await _queries.totals(self._connection, activity_id=activity_id))


class Store:
    """Connections, transactions, and the reads that need none."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Rows]:
        """A transaction: committed at the end of the block, rolled back by an exception."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield Rows(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Rows]:
        """A read-only transaction that sees one instant."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Rows(connection)

    async def pool_of_activity(self, activity_id: int) -> int | None:
        """The pool of an activity; None: no such activity."""
        pool_id: int | None = await _queries.pool_of_activity(self._pool, activity_id=activity_id)
        return pool_id

    async def pool_of_prize(self, prize_id: int) -> int | None:
        """The pool of a prize, deleted or not; None: no such prize."""
        pool_id: int | None = await _queries.pool_of_prize(self._pool, prize_id=prize_id)
        return pool_id

    async def pool_version(self, pool_id: int) -> int | None:
        """The newest version known of the pool; None: no such pool."""
        version: int | None = await _queries.pool_version(self._pool, pool_id=pool_id)
        return version

    async def activities(self, page: Page) -> list[Activity]:
        """One page, newest first, and one row more where there is one."""
        return [_activity(row) async for row in _queries.activities(self._pool, **window(page))]

    async def prizes(self, activity_id: int, page: Page) -> list[Prize]:
        """One page of live prizes by id, and one row more; activity_id 0: of all activities."""
        rows = _queries.prizes(self._pool, activity_id=activity_id, **window(page))
        return [_prize(row) async for row in rows]

    async def blocks(self, user_id: int, page: Page) -> list[Block]:
        """One page of the blocks that hold, newest first, and one row more; user 0: of all."""
        rows = _queries.blocks(self._pool, user_id=user_id, **window(page))
        return [_block(row) async for row in rows]

    async def overdue_pools(self, grace: timedelta) -> list[int]:
        """The pools of activities that time ended *grace* ago or more, and nobody has since."""
        return [row["pool_id"] async for row in _queries.overdue_pools(self._pool, grace=grace)]

    async def recorded_seq(self, pool_id: int) -> int:
        """The newest draw recorded of a pool."""
        return int(await _queries.recorded_seq(self._pool, pool_id=pool_id))

    async def records(self, span: RecordSpan, limit: int) -> list[ExportedDraw]:
        """The first *limit* draws of *span*, oldest first."""
        query = _queries.won_records if span.won_only else _queries.records
        rows = query(
            self._pool, pool_id=span.pool_id, after=span.after, last=span.last, row_limit=limit
        )
        return [ExportedDraw(**row) async for row in rows]

    async def users(self, prefix: str, page: Page) -> list[User]:
        """One page of the accounts that begin with *prefix*, and one more where more exist."""
        rows = _queries.users(
            self._pool,
            prefix=_LIKE_SPECIAL.sub(r"\\\g<0>", prefix.lower()),
            **window(page),
        )
        return [
            User(row["id"], row["username"], row["email"], row["created_at"], row["is_active"])
            async for row in rows
        ]

    async def last_audit_id(self) -> int:
        """The number of the newest entry of the audit log; 0: it has none."""
        return int(await _queries.last_audit_id(self._pool))

    async def audit_span(self, span: AuditSpan, last: int, limit: int) -> list[AuditEntry]:
        """The first *limit* entries of *span* up to number *last*, oldest first."""
        rows = _queries.audit_span(self._pool, span=span, last=last, row_limit=limit)
        return [_audit_entry(row) async for row in rows]

    async def audit_log(self, page: Page) -> list[AuditEntry]:
        """One page, newest first, and one row more where there is one."""
        rows = _queries.audit_log(self._pool, **window(page))
        return [_audit_entry(row) async for row in rows]


def window(page: Page) -> dict[str, int]:
    """The page as a statement takes it, one row longer: that row tells of a further page."""
    return {"row_limit": page.size + 1, "row_offset": page.offset}


def _activity(row: Any) -> Activity:  # noqa: ANN401  # asyncpg has no types
    return Activity(
        activity_id=row["id"],
        pool_id=row["pool_id"],
        seed_commitment=row["seed_commitment"],
        phase=Phase(row["phase"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        terms=ActivityTerms(
            name=row["name"],
            description=row["description"],
            start_time=row["start_time"],
            end_time=row["end_time"],
            wish=Wish(row["status"]),
            cooldown_seconds=row["cooldown_seconds"],
            max_draws_per_user=row["max_draws_per_user"],
            max_draws_per_day=row["max_draws_per_day"],
            max_wins_per_user=row["max_wins_per_user"],
            time_zone=row["time_zone"],
            confirm=ConfirmMode(row["confirm"]),
            ticket_required=row["ticket_required"],
            ticket_difficulty=row["ticket_difficulty"],
            ticket_spread_ms=row["ticket_spread_ms"],
        ),
    )


def _prize(row: Any) -> Prize:  # noqa: ANN401
    return Prize(
        prize_id=row["id"],
        activity_id=row["activity_id"],
        won_count=row["won_count"],
        is_deleted=row["is_deleted"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        held_count=row["held_count"],
        terms=PrizeTerms(
            name=row["name"],
            description=row["description"],
            image_url=row["image_url"],
            total_count=row["total_count"],
            probability_ppb=row["probability_ppb"],
            is_enabled=row["is_enabled"],
            max_wins_per_user=row["max_wins_per_user"],
            unit_cost=row["unit_cost"],
        ),
    )


def _recorded_pool(row: Any) -> RecordedPool:  # noqa: ANN401
    return RecordedPool(
        activity_id=row["id"],
        pool_id=row["pool_id"],
        name=row["name"],
        phase=Phase(row["phase"]),
        version=row["version"],
        recorded_seq=row["recorded_seq"],
        draws=row["draws"],
        wins=row["wins"],
        unique_users=row["unique_users"],
    )


def _audit_entry(row: Any) -> AuditEntry:  # noqa: ANN401
    return AuditEntry(
        audit_id=row["id"],
        username=row["username"],
        action=row["action"],
        subject=row["subject"],
        detail=row["detail"],
        created_at=row["created_at"],
    )


def _block(row: Any) -> Block:  # noqa: ANN401
    return Block(
        block_id=row["id"],
        user_id=row["user_id"] or 0,
        username=row["username"] or "",
        network=row["network"],
        reason=row["reason"],
        until=row["until"],
        created_at=row["created_at"],
        is_active=row["is_active"],
    )
