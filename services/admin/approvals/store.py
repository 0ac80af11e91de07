"""Postgres as approvals see it: typed rows over queries.sql, inside somebody's transaction."""

from dataclasses import dataclass
from typing import Any

from services.admin.approvals.models import Approval, ApprovalStatus
from services.admin.store import window
from services.common.context import Caller
from services.common.paging import Page
from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class AskedChange:
    """A change as asked for; see Approval."""

    request_type: str
    request: bytes
    action: str
    subject: str
    detail: str
    requested_by: int
    requested_name: str


async def lock(connection: Connection) -> None:
    """Nobody else adds to what waits, until the transaction ends; what has expired is noted."""
    await _queries.lock_approvals(connection)
    await _queries.expire_approvals(connection)


async def pending(connection: Connection) -> int:
    """How many wait."""
    return int(await _queries.count_pending(connection))


async def same_pending(connection: Connection, asked: AskedChange) -> Approval | None:
    """What waits already where the same person asks for the same once more."""
    row = await _queries.same_pending(
        connection,
        requested_by=asked.requested_by,
        request_type=asked.request_type,
        request=asked.request,
    )
    return None if row is None else _approval(row)


async def insert(connection: Connection, asked: AskedChange, valid_s: float) -> int:
    """Store what waits from now on, for *valid_s* seconds; its id."""
    return int(await _queries.insert_approval(connection, asked=asked, valid_s=valid_s))


async def find(connection: Connection, approval_id: int) -> Approval | None:
    """An approval as it is at this moment; None: no such approval."""
    row = await _queries.approval(connection, approval_id=approval_id)
    return None if row is None else _approval(row)


async def page_of(connection: Connection, status: str, page: Page) -> list[Approval]:
    """One page, newest first, and one row more; status "": of all."""
    rows = _queries.approvals(connection, status=status, **window(page))
    return [_approval(row) async for row in rows]


async def close(
    connection: Connection, approval_id: int, status: ApprovalStatus, caller: Caller
) -> bool:
    """Decide what waits; whether it still did."""
    closed = await _queries.close_approval(
        connection,
        approval_id=approval_id,
        status=status,
        decided_by=caller.user_id,
        decided_name=caller.username,
    )
    return closed is not None


async def may_still_ask(connection: Connection, user_id: int) -> bool:
    """Whether a user has a role that may ask for changes."""
    return bool(await _queries.may_still_ask(connection, user_id=user_id))


def _approval(row: Any) -> Approval:  # noqa: ANN401  # asyncpg has no types
    return Approval(**{**row, "status": ApprovalStatus(row["status"])})
