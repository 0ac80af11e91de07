"""Whether a change needs a second person, and what waits for one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, Protocol, TypeVar

from services.admin.approvals import store
from services.admin.approvals.models import Approval, ApprovalStatus, ApprovedContext
from services.admin.approvals.store import AskedChange
from services.admin.audit import AuditRecord
from services.admin.editor import bounded
from services.admin.store import Rows, Store
from services.common.context import Caller, RequestContext
from services.common.errors import ApprovalPendingError, ConflictError, OverloadedError

_FULL = "As many changes wait for approval as may. Approve or drop some of them first."
_FULL_RETRY_MS = 60_000
_GONE = "Whoever asked for this may not do it any more."


Request = TypeVar("Request")
Answer = TypeVar("Answer")


class ApprovalNeededError(Exception):
    """
    The change needs a second person; nothing was done.

    Args:
        record: What the audit log would have said.
        etag: Of what would be changed, as it is; empty: it has none.
    """

    def __init__(self, record: AuditRecord, etag: str) -> None:
        super().__init__(record.action)
        self.record = record
        self.etag = etag


class SecondPerson:
    """
    Holds back what one person alone may not do.

    Args:
        is_asked_for: Whether anything needs a second person.
        valid_s: How long it waits for one.
        max_pending: How many changes may wait.
    """

    def __init__(
        self, database: Store, is_asked_for: bool, valid_s: float, max_pending: int
    ) -> None:
        self._database = database
        self._is_asked_for = is_asked_for
        self._valid_s = valid_s
        self._max_pending = max_pending

    async def clear(
        self, ctx: RequestContext, rows: Rows, record: AuditRecord, etag: str = ""
    ) -> AuditRecord:
        """
        Let a grave change pass, inside the transaction that makes it.

        Returns:
            What goes into the audit log: *record*, and who approved.

        Raises:
            ApprovalNeededError: A second person has to approve it first.
            ConflictError: That was decided meanwhile, or has expired.
        """
        if isinstance(ctx, ApprovedContext):
            await close(rows, ctx.approval_id, ApprovalStatus.APPROVED, ctx.approver)
            approval = {"approval_id": ctx.approval_id, "approved_by": ctx.approver.username}
            return replace(record, detail={**record.detail, **approval})
        if self._is_asked_for:
            raise ApprovalNeededError(record, etag)
        return record

    @asynccontextmanager
    async def asked(self, request: Any, ctx: RequestContext) -> AsyncIterator[None]:  # noqa: ANN401
        """
        Store *request* where what is done with it needs a second person.

        Raises:
            ApprovalPendingError: It waits; repeated by the same person, it waits once.
            OverloadedError: Too much waits.
        """
        try:
            yield
        except ApprovalNeededError as needed:
            approval = await self._hold(ctx, _asked(request, needed))
            raise ApprovalPendingError(
                approval_id=approval.approval_id, expires_at=approval.expires_at.isoformat()
            ) from needed

    async def _hold(self, ctx: RequestContext, asked: AskedChange) -> Approval:
        async with bounded(ctx), self._database.writing() as rows:
            await store.lock(rows.connection)
            if same := await store.same_pending(rows.connection, asked):
                return same
            if await store.pending(rows.connection) >= self._max_pending:
                raise OverloadedError(_FULL, _FULL_RETRY_MS)
            approval_id = await store.insert(rows.connection, asked, self._valid_s)
            approval = await existing(rows, approval_id)
            await rows.add_audit(told("approval.request", ctx.require_caller(), approval))
            return approval


class HoldsBack(Protocol):
    """A servicer, some of whose RPCs need a second person."""

    second_person: SecondPerson


Servicer = TypeVar("Servicer", bound=HoldsBack)


def held_back(
    rpc: Callable[[Servicer, Request, RequestContext], Awaitable[Answer]],
) -> Callable[[Servicer, Request, RequestContext], Coroutine[Any, Any, Answer]]:
    """*rpc*, whose request is stored where what it does needs a second person."""

    @wraps(rpc)
    async def call(self: Servicer, request: Request, ctx: RequestContext) -> Answer:
        async with self.second_person.asked(request, ctx):
            return await rpc(self, request, ctx)

    return call


async def existing(rows: Rows, approval_id: int) -> Approval:
    """The approval; ConflictError where there is none any more."""
    approval = await store.find(rows.connection, approval_id)
    if approval is None:
        raise ConflictError
    return approval


async def close(rows: Rows, approval_id: int, status: ApprovalStatus, caller: Caller) -> Approval:
    """
    Decide what waits, in this transaction, and note it in the audit log.

    Raises:
        ConflictError: It does not wait any more; or, to be approved, nobody may ask for it.
    """
    if not await store.close(rows.connection, approval_id, status, caller):
        raise decided(await existing(rows, approval_id))
    approval = await existing(rows, approval_id)
    is_approved = status is ApprovalStatus.APPROVED
    if is_approved and not await store.may_still_ask(rows.connection, approval.requested_by):
        raise ConflictError(_GONE)
    await rows.add_audit(told(f"approval.{status}", caller, approval))
    return approval


def decided(approval: Approval) -> ConflictError:
    """Why nothing more happens to *approval*."""
    who = f" by {approval.decided_name}" if approval.decided_name else ""
    return ConflictError(f"This is {approval.status}{who}.", status=approval.status)


def told(action: str, caller: Caller, approval: Approval) -> AuditRecord:
    """What the audit log says of *approval* itself."""
    detail = {
        "action": approval.action,
        "subject": approval.subject,
        "requested_by": approval.requested_name,
        "expires_at": approval.expires_at,
    }
    return AuditRecord(caller, action, f"approval:{approval.approval_id}", detail)


def _asked(request: Any, needed: ApprovalNeededError) -> AskedChange:  # noqa: ANN401  # any message
    if needed.etag:
        # What the second person looks at is what is changed, or nothing is.
        request.etag = needed.etag
    caller = needed.record.caller
    return AskedChange(
        request_type=request.DESCRIPTOR.full_name,
        request=request.SerializeToString(deterministic=True),
        action=needed.record.action,
        subject=needed.record.subject,
        detail=needed.record.detail_json,
        requested_by=caller.user_id,
        requested_name=caller.username,
    )
